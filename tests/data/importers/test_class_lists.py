import pytest

from avsf_det.data.importers.class_lists import read_class_list
from tests.data.importers.files import document


@pytest.mark.parametrize(
    ("name", "content", "shift"),
    [
        ("labels.txt", "run\ntalk to (e.g., self)\n", None),
        ("classes.csv", 'id,name\n1,run\n2,"talk to (e.g., self)"\n', 0),
        ("class_names.txt", "0: run\n1: talk to (e.g., self)\n", 1),
        ("label_map.json", {"run": 0, "talk to (e.g., self)": 1}, 1),
        ("actions.json", {"1": "run", "2": "talk to (e.g., self)"}, 0),
        ("categories.json", [{"id": 1, "name": "run"}, {"id": 2, "name": "talk to (e.g., self)"}], 0),
        ("x.pbtxt", 'item { name: "run" id: 0 }\nitem { name: "talk to (e.g., self)" id: 1 }\n', 1),
    ],
)
def test_a_list_is_read_however_it_is_written(name, content, shift):
    found = read_class_list(document(content, name))
    assert found.label_map.names == ("run", "talk to (e.g., self)") and found.label_map.ids == (1, 2)
    assert found.shift == shift
    settled = found.settled({"0", "1"})
    assert settled.name_of("1") == ("run" if settled.shift == 0 else "talk to (e.g., self)")


def test_other_files_are_no_lists():
    assert read_class_list(document("run\n", "readme.txt")) is None
    assert read_class_list(document({"info": {"year": 2020}}, "classes.json")) is None
