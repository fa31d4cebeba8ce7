import numpy as np

from ava_eval.label_map import LabelMap
from ava_eval.selection import class_indices, number_frames
from ava_eval.table import table_from_memory


def test_frames_have_one_number_in_all_tables():
    first = table_from_memory([["a", 1], ["b", 1], ["a", 1.5], ["a", 1]], "first")
    second = table_from_memory([["b", 1.0], ["c", 1], ["a", 1]], "second")
    (a1, b1, a15, again), (b1_too, c1, a1_too) = (numbers.tolist() for numbers in number_frames(first, second))
    assert (a1, b1) == (again, b1_too) and a1 == a1_too
    assert sorted({a1, b1, a15, c1}) == [0, 1, 2, 3]


def test_class_indices_are_places_in_the_label_map():
    labels = LabelMap((7, 2), ("a", "b"))
    assert class_indices(np.array([2, 7, 0, -3, 5, 8, 10**12]), labels).tolist() == [1, 0, -1, -1, -1, -1, -1]
