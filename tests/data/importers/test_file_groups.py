import pytest

from avsf_det.data.importers import read_export
from avsf_det.errors import UserError
from tests.data.importers.test_importers import put

SPAN = {"id": "a", "type": "timelinelabels", "value": {"ranges": [{"start": 1, "end": 2}], "timelinelabels": ["run"]}}


def test_files_of_one_frame_each_are_read_together(tmp_path):
    for number in (1, 2):
        put(tmp_path / "labels" / f"clip_{number}.txt", "0 0.5 0.5 0.5 0.5\n")
    put(tmp_path / "labels" / "clip_3.txt", "")
    put(tmp_path / "data.yaml", "names: [walk]\n")
    reading = read_export(tmp_path)
    (export,) = reading.exports
    assert export.format == "YOLO txt" and len(export.videos[0].tracks) == 2
    assert not reading.bad and not reading.passed_over


def test_labeling_config_beside_gives_the_frame_rate(tmp_path):
    task = {"data": {"video": "clip.mp4"}, "annotations": [{"result": [SPAN]}]}
    path = put(tmp_path / "project.json", [task])
    put(tmp_path / "labeling_config.xml", '<View><Video name="v" value="$video" frameRate="12.5"/></View>')
    for export in (path, tmp_path):
        assert read_export(export).exports[0].videos[0].clock.rate == 12.5


def test_the_same_file_twice_is_read_once(tmp_path):
    for name in "ab":
        put(tmp_path / name / "x.json", [{"data": {"video": "c.mp4"}, "annotations": [{"result": [SPAN]}]}])
    reading = read_export(tmp_path)
    assert len(reading.exports) == 1 and "so it is read once" in reading.notes[0]


def test_labeling_configs_that_disagree_are_not_used(tmp_path):
    put(tmp_path / "project.json", [{"data": {"video": "clip.mp4"}, "annotations": [{"result": [SPAN]}]}])
    for rate in (12, 25):
        put(tmp_path / f"{rate}.xml", f'<View><Video value="$video" frameRate="{rate}"/></View>')
    reading = read_export(tmp_path)
    assert reading.exports[0].videos[0].clock.rate is None and "12, 25; none is used" in reading.notes[0]


def test_group_of_another_structure_is_one_error(tmp_path):
    put(tmp_path / "labels" / "clip_1.txt", "0 0.5 0.5 0.5 0.5\n")
    put(tmp_path / "data.yaml", "names: [walk\n")
    with pytest.raises(UserError, match=r"data\.yaml: not YAML"):
        read_export(tmp_path)
