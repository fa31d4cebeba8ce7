"""How a file is recognised, and read or not."""

import json
import zipfile

import pytest

from avsf_det.data.importers import FORMATS, read_export
from avsf_det.errors import UserError

BOX = "0.1,0.1,0.5,0.9"
ROW = f"clip,1,{BOX},walk,0\n"


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", {"images": [{"id": [1], "file_name": "c/1.jpg"}], "annotations": [], "videos": [{"id": {}}]}),
        ("a.json", [{"data": {"video": "c.mp4"}, "annotations": [{"result": [{"type": "labels", "value": "x"}]}]}]),
        ("a.json", {"file": {}, "view": {}, "metadata": {"1": None}, "attribute": ["x"]}),
        ("a.xml", "<annotations><version>1.1</version><image/></annotations>"),
    ],
)
def test_a_file_of_another_structure_is_named_and_no_error_of_python(tmp_path, name, content):
    try:
        reading = read_export(put(tmp_path / name, content))
        assert all(line.startswith(str(tmp_path / name)) for line in reading.bad) and reading.bad
    except UserError as error:
        assert str(tmp_path / name) in str(error) and "\n" not in str(error)


def test_a_folder_is_read_file_by_file(tmp_path):
    put(tmp_path / "b.csv", ROW)
    put(tmp_path / "c.xml", "<broken")
    put(tmp_path / "d.json", "{}")
    put(tmp_path / "val_excluded_timestamps.csv", "clip,3\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(
            "annotations.xml", "<annotations><version>1.1</version><track id='0' label='x'/></annotations>"
        )
    reading = read_export(tmp_path)
    assert [export.format for export in reading.exports] == ["CVAT XML", "AVA csv"]
    assert len(reading.bad) == 1 and "c.xml: not XML" in reading.bad[0]
    assert reading.passed_over == [str(tmp_path / "d.json")]
    assert [one[:3] for one in reading.excluded] == [("clip", 3, "val")]


def test_lists_of_ucf101_give_the_splits(tmp_path):
    rows = put(tmp_path / "rows.csv", "".join(f"{n},1,{BOX},walk,0\n" for n in ("v_a", "v_b", "v_c")))
    put(tmp_path / "splitfiles" / "trainlist01.txt", "Walk/v_a.avi 1\n")
    put(tmp_path / "splitfiles" / "testlist01.txt", "Walk/v_b\n\n")
    put(tmp_path / "splitfiles" / "trainlist02.txt", "Walk/v_b\n")
    (export,) = read_export(rows).exports
    assert [video.split for video in export.videos] == ["train", "test", ""]


def test_what_is_not_known_names_what_is(tmp_path):
    with pytest.raises(UserError, match="not recognised; expected " + ", ".join(FORMATS)):
        read_export(put(tmp_path / "x.json", "{}"))


def test_an_export_without_labels_is_named(tmp_path):
    with_row = put(tmp_path / "a.csv", ROW)
    put(tmp_path / "x.json", {"images": [], "annotations": []})
    assert "without a single box or label" in read_export(with_row.parent).bad[0]


def test_read_export_empty_file_beside_a_named_one_is_ignored(tmp_path):
    put(tmp_path / "stranger.csv", "")
    reading = read_export(put(tmp_path / "rows.csv", ROW))
    assert len(reading.exports) == 1 and not reading.bad
    with pytest.raises(UserError) as error:
        read_export(put(tmp_path / "odd.csv", "a,b\n1,2\n"))
    assert "stranger" not in str(error.value)
    assert any("stranger.csv: the file is empty" in line for line in read_export(tmp_path).bad)
