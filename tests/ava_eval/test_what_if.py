import numpy as np
import pytest

from ava_eval import trials
from ava_eval.label_map import LabelMap
from ava_eval.table import table_from_memory

BOXES = [[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 0.6, 0.9]]


def table(boxes, actions=(1, 2)):
    return table_from_memory([["v", 1, *box, action, 0.5] for box, action in zip(boxes, actions)], "x")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("x and y swapped", lambda x1, y1, x2, y2: (y1, x1, y2, x2)),
        ("boxes are x, y, width, height", lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1)),
        ("boxes are centre, width, height", lambda x1, y1, x2, y2: ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)),
        ("corners ordered x1, x2, y1, y2", lambda x1, y1, x2, y2: (x1, x2, y1, y2)),
        ("y counted from the bottom", lambda x1, y1, x2, y2: (x1, 1 - y2, x2, 1 - y1)),
    ],
)
def test_each_layout_is_undone(name, written):
    change, _ = trials.LAYOUTS[name]
    mended = change(table([written(*box) for box in BOXES]), LabelMap((1,), ("a",)))
    np.testing.assert_allclose(mended.boxes, BOXES)


def test_places_in_the_label_map_become_its_ids_whatever_its_order():
    labels = LabelMap((7, 3), ("a", "b"))
    for first in (0, 1):
        change, _ = trials.ID_CHANGES[f"class ids are places in the label map, from {first}"]
        assert change(table(BOXES, (first, first + 1)), labels).actions.tolist() == [3, 7]
        assert change(table(BOXES, (first + 2, first - 1)), labels).actions.tolist() == [-1, -1]


def test_best_ious_are_with_any_class_and_zero_for_boxes_without_area():
    truth = table([[0, 0, 1, 1], [0, 0, 1, 0.5]])
    found = table([[0, 0, 1, 0.5], [1, 1, 0, 0]])
    assert trials.best_ious(truth, found).tolist() == [1, 0]


def test_a_sample_has_whole_videos_of_both_tables(monkeypatch):
    monkeypatch.setattr(trials, "SAMPLE_ROWS", 5)
    rows = [[f"v{i % 4}", i, 0, 0, 1, 1, 1, 0.5] for i in range(12)]
    truth, found = trials.sample(table_from_memory(rows, "t"), table_from_memory(rows, "f"))
    assert len(found) == len(truth) == 6
    assert len({truth.video_names[v] for v in truth.videos}) == 2
