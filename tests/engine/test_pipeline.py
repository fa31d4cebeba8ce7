import threading
import time

import pytest

from avsf_det.engine.pipeline import ahead


def test_items_come_in_their_order():
    assert list(ahead(iter(range(100)), 3)) == list(range(100))


def test_stages_follow_each_other():
    doubled = (2 * i for i in ahead(iter(range(20)), 2))
    assert list(ahead(doubled, 2)) == list(range(0, 40, 2))


def test_no_more_are_made_than_may_be():
    made = []

    def items():
        for i in range(50):
            made.append(i)
            yield i

    for i, item in enumerate(ahead(items(), 3)):
        assert item == i
        time.sleep(0.001)
        assert len(made) <= i + 1 + 3 + 1
    assert len(made) == 50


def test_they_are_made_while_the_last_one_is_worked_on():
    begun, seen = threading.Event(), []

    def items():
        yield 1
        begun.set()
        yield 2

    for item in ahead(items(), 1):
        seen.append(item)
        assert begun.wait(10)
    assert seen == [1, 2]


def test_what_goes_wrong_is_raised_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("no more")

    seen = []
    with pytest.raises(OSError, match="no more"):
        for item in ahead(items(), 5):
            seen.append(item)
    assert seen == [1]


def test_closing_ends_every_stage_and_its_thread():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    first = ahead(items(), 2)
    second = ahead((i + 1 for i in first), 2)
    assert next(second) == 1
    second.close()
    first.close()
    assert closed == ["ahead"] and threading.active_count() == before
