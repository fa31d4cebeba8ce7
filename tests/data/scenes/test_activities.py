import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.label_map import parse_label_map
from avsf_det.data.scenes.activities import (
    ACTIVITIES,
    GROUPS,
    POSES,
    SOUND_PAIRS,
    TIMING_PAIR,
    Beats,
    label_map,
)


def test_the_label_map_has_every_pose_and_activity_in_avas_three_groups():
    classes = label_map()
    assert set(classes.names) == {*POSES, *ACTIVITIES}
    assert classes.ids == tuple(range(1, len(classes) + 1))
    assert set(GROUPS) == {"PERSON_MOVEMENT", "OBJECT_MANIPULATION", "PERSON_INTERACTION"}
    assert parse_label_map(classes.to_pbtxt()).names == classes.names


@pytest.mark.parametrize("pair", [*SOUND_PAIRS.values(), TIMING_PAIR], ids=" / ".join)
def test_twins_look_and_beat_alike_and_sound_different(pair):
    one, other = (ACTIVITIES[name] for name in pair)
    assert (one.motion, one.period) == (other.motion, other.period)
    assert one.sound != other.sound and one.sound


def test_there_are_three_pairs_for_sound_one_for_timing_and_classes_told_by_look():
    paired = {name for pair in (*SOUND_PAIRS.values(), TIMING_PAIR) for name in pair}
    assert len(SOUND_PAIRS) >= 3 and {*POSES, "carry a box", "wave"} <= {*POSES, *ACTIVITIES} - paired
    for motion, pair in SOUND_PAIRS.items():
        assert {name for name, activity in ACTIVITIES.items() if activity.motion == motion} == set(pair)


@given(st.integers(0, 2**32), st.floats(1, 20), st.floats(0.2, 1.5), st.floats(0, 0.3), st.floats(0, 1))
def test_every_moment_lies_between_two_beats(seed, duration, period, jitter, share):
    beats = Beats.draw(np.random.default_rng(seed), duration, period, jitter)
    assert beats.times[0] <= 0 and beats.times[-1] > duration
    t = share * duration
    number, phase = beats.phase(t)
    assert beats.times[number] <= t < beats.times[number + 1]
    assert 0 <= phase <= 1
    gaps = np.diff(beats.times)
    assert (gaps >= period * (1 - jitter) * 0.999).all() and (gaps <= period * (1 + jitter) * 1.001).all()
