import csv

import numpy as np
import pytest

from ava_eval.label_map import read_label_map
from avsf_det.engine.draw import DrawOptions, draw_detections
from avsf_det.errors import UserError
from avsf_det.media.video import VideoReader, probe
from avsf_det.visual.verdicts import COLOURS, MISSED, RIGHT, WRONG


@pytest.fixture(scope="module")
def truth(scenes):
    return scenes / "annotations" / "test.csv"


@pytest.fixture(scope="module")
def options(scenes):
    return DrawOptions(read_label_map(scenes / "annotations" / "label_map.pbtxt"))


@pytest.fixture(scope="module")
def labelled(truth):
    """Second, box and id of the first labelled row."""
    with open(truth, newline="") as file:
        row = next(row for row in csv.reader(file) if len(row) == 8)
    return float(row[1]), [float(value) for value in row[2:6]], int(row[6])


def written(path, *rows):
    path.write_text("".join(f"{','.join(map(str, row))}\n" for row in rows))
    return path


def shown(path, time, height):
    with VideoReader(path) as video:
        return video.frames_at(np.array([time]))[0][:height].astype(int)


def share(picture, colour):
    return (np.abs(picture - colour).max(axis=2) < 40).mean()


def test_boxes_and_sound_come_with_the_video(video, labelled, options, tmp_path):
    time, box, action = labelled
    rows = written(tmp_path / "found.csv", ("test_0000", time, *box, action, 0.9), ("other", time, *box, action, 0.9))
    drawing = draw_detections(video, rows, tmp_path / "out.mp4", options)
    before, after = probe(video), probe(drawing.video)
    assert drawing.keyframes == 1 and drawing.judgement is None
    assert after.duration == pytest.approx(before.duration, abs=0.05) and after.has_audio == before.has_audio
    differs = np.abs(shown(drawing.video, time, before.height) - shown(video, time, before.height)).max(axis=2) > 60
    assert differs.mean() > 0.01
    assert [path.name for path in tmp_path.glob("[!.]*") if path.suffix != ".csv"] == ["out.mp4"]


def test_right_wrong_and_missed_have_their_colours(video, truth, labelled, options, tmp_path):
    time, box, action = labelled
    wrong = next(i for i in options.label_map.ids if i != action)
    pixels = [value * size for value, size in zip(box, (128, 96) * 2)]
    seen = {}
    for name, rows in {
        "right": [(time, *box, action, 0.9)],
        "pixels": [(time, *pixels, action, 0.9)],
        "wrong": [(time, *box, wrong, 0.9)],
        "missed": [(time,)],
    }.items():
        found = written(tmp_path / "found.csv", *[("test_0000", *row) for row in rows])
        drawing = draw_detections(video, found, tmp_path / f"{name}.mp4", options, truth)
        picture = shown(drawing.video, time, 96)
        seen[name] = [share(picture, COLOURS[verdict]) for verdict in (RIGHT, WRONG, MISSED)]
        assert (drawing.judgement.verdicts == RIGHT).sum() == (name in ("right", "pixels"))
    assert seen["right"][0] > seen["wrong"][0] + 0.005 and seen["pixels"][0] == pytest.approx(
        seen["right"][0], abs=0.002
    )
    assert seen["wrong"][1] > seen["right"][1] + 0.005
    assert seen["missed"][2] > seen["right"][2]


def test_keyframes_on_a_films_clock_need_its_start(video, labelled, options, tmp_path):
    time, box, action = labelled
    rows = written(tmp_path / "found.csv", ("test_0000", 900 + time, *box, action, 0.9))
    with pytest.raises(UserError, match=r"keyframes are at 90\d to 90\d s, the video lasts from 0 to 4 s.*--start 900"):
        draw_detections(video, rows, tmp_path / "out.mp4", options)
    moved = DrawOptions(options.label_map, start=900.0)
    assert draw_detections(video, rows, tmp_path / "out.mp4", moved).keyframes == 1


@pytest.mark.parametrize("target", ["test_0000.mp4", "out.avi"])
def test_the_video_itself_is_never_replaced(video, options, tmp_path, target):
    copy = tmp_path / "test_0000.mp4"
    copy.write_bytes(video.read_bytes())
    with pytest.raises(UserError, match="cannot be the output"):
        draw_detections(copy, tmp_path / "found.csv", tmp_path / target, options)
    assert copy.read_bytes() == video.read_bytes()


def test_left_out_rows_are_named(video, labelled, options, tmp_path, caplog):
    time, box, action = labelled
    good, bad = ("test_0000", time, *box, action, 0.9), ("test_0000", time, *box, 999, 0.9)
    draw_detections(video, written(tmp_path / "found.csv", good, bad), tmp_path / "out.mp4", options)
    assert "left out 1 rows" in caplog.text and "found.csv:2: action '999' is not in the label map" in caplog.text


def test_files_without_a_label_map_bring_their_classes(video, truth, labelled, tmp_path):
    time, box, _ = labelled
    found = written(tmp_path / "found.csv", ("test_0000", time, *box, 77, 0.9))
    drawing = draw_detections(video, found, tmp_path / "out.mp4", DrawOptions(), truth)
    assert (drawing.judgement.verdicts == WRONG).sum() == 1
