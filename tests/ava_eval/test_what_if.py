from ava_eval import what_if
from ava_eval.label_map import LabelMap
from ava_eval.table import table_from_memory

BOXES = [[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 0.6, 0.9]]


def table(boxes, actions=(1, 2)):
    return table_from_memory([["v", 1, *box, action, 0.5] for box, action in zip(boxes, actions)], "x")


def test_id_changes_positions_become_ids_whatever_the_order():
    labels = LabelMap((7, 3), ("a", "b"))
    for first in (0, 1):
        change, _ = what_if.ID_CHANGES[f"class ids are positions in the label map, from {first}"]
        assert change(table(BOXES, (first, first + 1)), labels).actions.tolist() == [3, 7]
        assert change(table(BOXES, (first + 2, first - 1)), labels).actions.tolist() == [-1, -1]


def test_id_changes_alphabetical_positions_become_ids():
    change, _ = what_if.ID_CHANGES["class ids are positions in alphabetical order, from 0"]
    assert change(table(BOXES, (0, 1)), LabelMap((3, 7), ("sit", "run"))).actions.tolist() == [7, 3]


def test_sample_has_whole_videos_of_both_tables(monkeypatch):
    monkeypatch.setattr(what_if, "SAMPLE_ROWS", 5)
    rows = [[f"v{i % 4}", i, 0, 0, 1, 1, 1, 0.5] for i in range(12)]
    truth, found = what_if.sample(table_from_memory(rows, "t"), table_from_memory(rows, "f"))
    assert len(found) == len(truth) == 6
    assert len({truth.video_names[v] for v in truth.videos}) == 2
