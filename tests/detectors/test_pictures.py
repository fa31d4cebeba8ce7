import numpy as np
import pytest

from avsf_det.errors import UserError
from detectors import pictures
from detectors.keyframes import person_keyframes
from detectors.pictures import PictureFiles, Records


@pytest.fixture
def files(keyframes):
    return PictureFiles(keyframes)


def all_rows(keyframes):
    return range(len(keyframes))


def test_pictures_show_the_keyframes(keyframes, files):
    files.make(all_rows(keyframes), workers=1)
    records = Records(keyframes, files, all_rows(keyframes))
    for number, keyframe in enumerate(keyframes):
        picture = records.picture(number)
        assert (picture.video_id, picture.time) == (keyframe.video_id, keyframe.time)
        x1, y1, x2, y2 = keyframe.persons.to_pixels(96, 96).round().astype(int)[0]
        assert picture.image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2, 0].min() > 150


def test_several_processes_decode_and_what_is_there_is_kept(keyframes, files, monkeypatch):
    monkeypatch.setattr(pictures, "CHUNK", 1)
    files.make([0], workers=1)
    first = files[0].stat().st_mtime_ns
    assert files.missing(all_rows(keyframes)) == [1, 2, 3]
    files.make(all_rows(keyframes), workers=2)
    assert files.missing(all_rows(keyframes)) == [] and files[0].stat().st_mtime_ns == first
    monkeypatch.setattr(pictures, "_decode", lambda task: pytest.fail("decoded again"))
    PictureFiles(keyframes).make(all_rows(keyframes))


def test_a_video_that_cannot_be_read_is_named_and_left_out(keyframes, monkeypatch, caplog):
    broken = keyframes.videos["b"]
    broken.write_bytes(broken.read_bytes()[:200])
    files = PictureFiles(keyframes)
    with pytest.raises(UserError, match=r"1 of 2 videos cannot be read.*b\.mp4"):
        files.make(all_rows(keyframes), workers=1)
    monkeypatch.setattr(pictures, "MAX_FAILED", 0.5)
    files.make(all_rows(keyframes), workers=1)
    assert "left out 1 videos" in caplog.text and "b.mp4" in caplog.text and "(2 keyframes)" in caplog.text
    assert files.missing(all_rows(keyframes)) == [2, 3]


def test_too_little_room_is_told_before_the_work(keyframes, files, monkeypatch):
    monkeypatch.setattr(pictures, "CHUNK", 1)
    monkeypatch.setattr(pictures, "SAMPLE", 2)
    monkeypatch.setattr(pictures.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 3000}))
    with pytest.raises(UserError, match=r"4 pictures, of .* kB each, take .* AVSF_CACHE"):
        files.make(all_rows(keyframes), workers=1)


def test_records_are_what_detectron2_takes(dataset):
    pytest.importorskip("detectron2")
    csv = dataset / "annotations" / "train_person_boxes.csv"
    csv.write_text(csv.read_text() + "a,1.0\n")
    keyframes = person_keyframes(csv, {name: dataset / "videos" / f"{name}.mp4" for name in "ab"})
    files = PictureFiles(keyframes)
    files.make([1, 2], workers=1)
    empty, full = Records(keyframes, files, [1, 2])
    assert empty["annotations"] == [] and (empty["width"], empty["height"]) == (96, 96)
    (person,) = full["annotations"]
    np.testing.assert_allclose(person["bbox"], keyframes[2].persons.to_pixels(96, 96)[0], rtol=1e-6)
    assert full["file_name"] == str(files[2]) and full["image_id"] == 2
