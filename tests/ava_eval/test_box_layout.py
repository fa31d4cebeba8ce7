from dataclasses import replace

import numpy as np
import pytest

from ava_eval.box_layout import AS_WRITTEN, LAYOUTS, find_box_fix, unit_names

WRITTEN = {  # layout -> corners as such a file has them
    "x and y swapped": lambda b: b[:, [1, 0, 3, 2]],
    "boxes are x, y, width, height": lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]]),
    "boxes are center, width, height": lambda b: np.hstack([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]]),
    "boxes are y, x, height, width": lambda b: np.hstack([b[:, [1, 0]], (b[:, 2:] - b[:, :2])[:, ::-1]]),
    "boxes are center y, center x, height, width": lambda b: np.hstack(
        [(b[:, [1, 0]] + b[:, [3, 2]]) / 2, (b[:, 2:] - b[:, :2])[:, ::-1]]
    ),
    "corners ordered x1, x2, y1, y2": lambda b: b[:, [0, 2, 1, 3]],
    "corners ordered y1, y2, x1, x2": lambda b: b[:, [1, 3, 0, 2]],
    "opposite corners in the wrong order": lambda b: b[:, [2, 3, 0, 1]],
    "y counted from the bottom": lambda b: np.stack([b[:, 0], 1 - b[:, 3], b[:, 2], 1 - b[:, 1]], axis=1),
    "x counted from the right": lambda b: np.stack([1 - b[:, 2], b[:, 1], 1 - b[:, 0], b[:, 3]], axis=1),
}
SIZE = np.array([640.0, 360.0, 640.0, 360.0])


def written(table, write, videos=None):
    rows = np.ones(len(table), bool) if videos is None else np.isin(table.videos, videos)
    boxes = table.boxes.copy()
    boxes[rows] = write(boxes[rows])
    return replace(table, boxes=boxes)


def read(truth, found):
    fix = find_box_fix(truth, found)
    units = unit_names(fix, found)
    fixed = fix.rescaled(found, [video for videos in units.values() for video in videos])
    for name in {reading.layout for reading in fix.readings.values()} - {AS_WRITTEN}:
        fixed = fix.rearranged(fixed, name)
    return fix, units, fixed


def test_written_has_every_layout():
    assert set(WRITTEN) == set(LAYOUTS) - {AS_WRITTEN}


@pytest.mark.parametrize("name", WRITTEN)
def test_find_box_fix_each_layout_is_undone(make_scene, name):
    truth, found = make_scene()
    fix, units, fixed = read(truth, written(found, WRITTEN[name]))
    assert {reading.layout for reading in fix.readings.values()} == {name} and not units
    np.testing.assert_allclose(fixed.boxes, found.boxes, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in WRITTEN if "counted" not in name])
def test_find_box_fix_layout_in_pixels_names_both(make_scene, name):
    truth, found = make_scene()
    fix, units, fixed = read(truth, written(found, lambda b: WRITTEN[name](b * SIZE)))
    assert {reading.layout for reading in fix.readings.values()} == {name}
    assert list(units) == ["boxes of the detections are in pixels"]
    np.testing.assert_allclose(fixed.boxes, found.boxes, atol=0.03)


def test_find_box_fix_sizes_of_each_video_are_estimated(make_scene):
    truth, found = make_scene()
    sizes = np.array([[640, 360], [1280, 720], [320, 240], [426, 240]], dtype=float)
    fix, units, _ = read(truth, replace(found, boxes=found.boxes * np.tile(sizes[found.videos], 2)))
    assert list(units) == ["boxes of the detections are in pixels"]
    for name, size in zip(found.video_names, sizes):
        np.testing.assert_allclose(fix.readings[name].scale, size, rtol=0.05)


def test_find_box_fix_some_videos_are_named(make_scene):
    truth, found = make_scene()
    fix, _, fixed = read(truth, written(found, WRITTEN["x and y swapped"], videos=[1, 3]))
    assert sorted(fix.readings) == [found.video_names[1], found.video_names[3]]
    np.testing.assert_allclose(fixed.boxes, found.boxes)


@pytest.mark.parametrize("noise", [0.03, 0.3, 3.0])
def test_find_box_fix_right_or_hopeless_boxes_find_nothing(make_scene, noise):
    for seed in range(4):
        assert find_box_fix(*make_scene(seed=seed, noise=noise, frames=8)).readings == {}
