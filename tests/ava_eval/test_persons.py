from ava_eval import evaluate
from ava_eval.persons import find_persons

MAP = {1: "stand", 2: "sit"}


def test_a_person_is_a_box_of_a_frame_whatever_it_does():
    truth = [["v", 1, 0, 0, 4, 4, 1], ["v", 1, 0, 0, 4, 4, 2], ["v", 2, 0, 0, 4, 4, 1], ["v", 1, 5, 5, 9, 9, 2]]
    found = [["v", 1, 5, 5, 9, 8, 1, 0.9], ["v", 2, 6, 6, 9, 9, 1, 0.8], ["v", 1, 0, 0, 4, 1, 2, 0.7]]
    persons = find_persons(evaluate(truth, found, MAP))
    assert persons.boxes.tolist() == [[0, 0, 4, 4], [5, 5, 9, 9], [0, 0, 4, 4]]
    assert persons.of_truth.tolist() == [0, 0, 2, 1]
    assert persons.nearest.tolist() == [1, -1, 0]  # "stand" on the one who sits, on nobody, and too small
    assert persons.ious.tolist() == [0.75, 0, 0.25]
    assert persons.found(0.5).tolist() == [False, True, False]


def test_an_inverted_person_is_never_found():
    persons = find_persons(evaluate([["v", 1, 4, 4, 0, 0, 1]], [["v", 1, 0, 0, 4, 4, 1, 0.9]], MAP))
    assert len(persons.boxes) == 1 and not persons.found(0.1).any()
