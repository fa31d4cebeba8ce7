from config_page import page


def test_a_table_for_each_part_of_the_keys():
    text = page("SEED = 1  # of all\nA.X = 'a|b'  # 1 < 2 | 3\nA.B.Y = []\nC.Z = '# no'  # yes")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Of the whole run", "## A", "## C"]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `SEED` | `1` | of all |",
        "| `A.X` | `'a\\|b'` | 1 &lt; 2 \\| 3 |",
        "| `A.B.Y` | `[]` |  |",
        "| `C.Z` | `'# no'` | yes |",
    ]
