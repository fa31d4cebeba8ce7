from dataclasses import replace

import numpy as np
import pytest

from avsf_det.data.scenes.activities import ACTIVITIES, POSES, SOUND_PAIRS, TIMING_PAIR
from avsf_det.data.scenes.figure import Body
from avsf_det.data.scenes.scene import Scene

WIDTH, HEIGHT, SECONDS, RATE = 160, 120, 8, 16000
BODIES = [Body.draw(np.random.default_rng(seed)) for seed in range(12)]


def scene(seed, sounds=True):
    return Scene(np.random.default_rng(seed), BODIES, range(100, 112), WIDTH, HEIGHT, SECONDS, sounds)


@pytest.fixture(scope="module")
def many():
    return [scene(seed) for seed in range(60)]


def test_the_same_seed_gives_the_same_pictures_labels_and_sound():
    one, other = scene(3), scene(3)
    for t in (0.0, 2.5, 7.9):
        np.testing.assert_array_equal(one.frame(t, 5)[0], other.frame(t, 5)[0])
        assert one.actions(t) == other.actions(t)
    np.testing.assert_array_equal(one.sound(RATE), other.sound(RATE))
    assert not np.array_equal(one.frame(0.0, 0)[0], scene(4).frame(0.0, 0)[0])


def test_two_to_four_different_people_take_part(many):
    assert {len(one.actors) for one in many} == {2, 3, 4}
    for one in many:
        assert len({id(actor.body) for actor in one.actors}) == len(one.actors)


def test_labels_are_those_of_the_spans_but_in_rests_from_swinging_a_bell(many):
    for one in many:
        for t in np.arange(0, SECONDS, 0.37):
            for actor, actions in zip(one.actors, one.actions(t)):
                span = actor.span(t)
                whole = tuple(name for name in (span.pose, span.activity) if name)
                assert actions == whole or (actions == whole[:1] and span.activity in TIMING_PAIR)
                assert actions[0] in POSES and set(actions[1:]) <= set(ACTIVITIES)


def test_nobody_stops_existing_within_a_scene_and_spans_have_no_gaps(many):
    for one in many:
        for actor in one.actors:
            assert actor.spans[0].start <= 0 and actor.spans[-1].end >= SECONDS
            assert all(first.end == second.start for first, second in zip(actor.spans, actor.spans[1:]))


def test_every_class_and_way_to_move_comes_up(many):
    done = {name for one in many for t in range(SECONDS) for actions in one.actions(t) for name in actions}
    assert done == {*POSES, *ACTIVITIES}
    overlaps = walked_in = 0
    for one in many:
        boxes = [one.frame(t, 0)[1] for t in (0.0, 7.5)]
        walked_in += any(first is None and last is not None for first, last in zip(*boxes))
        there = [box for box in boxes[1] if box is not None]
        overlaps += any(
            a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
            for i, a in enumerate(there)
            for b in there[i + 1 :]
        )
    assert walked_in >= 3 and overlaps >= 10


def test_boxes_hold_the_drawn_figures(many):
    checked = 0
    for one in many[:30]:
        for row, actor in enumerate(one.actors):
            t, motion = 4.25, ACTIVITIES.get(actor.span(4.25).activity)
            box = one.frame(t, 0)[1][row]
            if box is None or actor.span(t).pose == "sit" or (motion and motion.sound != "clap"):
                continue  # a chair, or a thing that is held, is not the person
            without = scene_without(one, actor).frame(t, 0)[0].astype(int)
            only = scene_without(one, *(other for other in one.actors if other is not actor))
            empty = scene_without(one, *one.actors).frame(t, 0)[0].astype(int)
            changed = np.abs(only.frame(t, 0)[0] - empty).max(axis=2) > 12
            assert (np.abs(one.frame(t, 0)[0] - without).max(axis=2) > 12).any()
            rows, columns = np.where(changed)
            pixels = box * (WIDTH, HEIGHT, WIDTH, HEIGHT)
            drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            np.testing.assert_allclose(pixels, drawn, atol=6)
            checked += 1
    assert checked >= 6


def scene_without(one, *actors):
    """The same scene without some of its people."""
    copy = object.__new__(Scene)
    vars(copy).update(vars(one), actors=[actor for actor in one.actors if actor not in actors])
    return copy


def test_a_person_mostly_outside_the_picture_has_no_box(many):
    seen = [box for one in many for t in (0.0, 1.0, 7.0) for box in one.frame(t, 0)[1]]
    assert any(box is None for box in seen)
    for box in filter(lambda box: box is not None, seen):
        assert (box >= 0).all() and (box <= 1).all() and (box[:2] < box[2:]).all()


def onsets(track, times, window=0.06):
    """How much louder a track is just after each time than just before it."""
    power = np.concatenate([[0], np.cumsum((track.astype(np.float64) ** 2).sum(axis=1))])

    def between(start, end):
        start, end = (int(np.clip(t, 0, SECONDS) * RATE) for t in (start, end))
        return (power[end] - power[start]) / max(end - start, 1)

    return np.array([between(t, t + window) / (between(t - window, t) + 1e-12) for t in times])


def bell_scenes(many):
    """(scene, the ringer, the one who swings a mute bell) of each scene with bells."""
    for one in many:
        by_activity = {actor.spans[0].activity: actor for actor in one.actors}
        if TIMING_PAIR[0] in by_activity and TIMING_PAIR[1] in by_activity:
            yield one, by_activity[TIMING_PAIR[0]], by_activity[TIMING_PAIR[1]]


def lowest_hand_times(actor):
    """When a swing has brought the hand with the bell down, as it is drawn."""
    from avsf_det.data.scenes.figure import _hands

    t = np.arange(0.2, SECONDS - 0.2, 0.01)
    height = np.array([_hands("bell", actor.beats["bell"], x, None, 0.0)[1][1] for x in t])
    low = (height[1:-1] < height[:-2]) & (height[1:-1] <= height[2:])
    return np.array([x for x in t[1:-1][low] if actor.activity(x - 0.02)])


def test_bells_are_swung_by_turns_and_who_rests_looks_and_is_labelled_idle(many):
    began = set()
    for one, ringer, other in bell_scenes(many):
        turns = []
        for t in range(1, SECONDS):
            labels = dict(zip(map(id, one.actors), one.actions(t)))
            swings = [set(labels[id(actor)][1:]) & set(TIMING_PAIR) for actor in (ringer, other)]
            assert sorted(map(len, swings)) == [0, 1]
            turns.append(int(bool(swings[1])))
        assert {*turns[:4]} == {0, 1}, "both within five seconds"
        began.add(turns[0])
        resting = (other, ringer)[turns[0]]
        idle = type(resting)(**{**vars(resting), "spans": tuple(replace(s, activity=None) for s in resting.spans)})
        same = scene_without(one)
        same.actors = [idle if actor is resting else actor for actor in one.actors]
        np.testing.assert_array_equal(same.frame(1.0, 0)[0], one.frame(1.0, 0)[0])
    assert began == {0, 1}


def test_a_bell_is_heard_when_the_ringers_hand_is_lowest_and_not_when_the_others_is(many):
    in_time, out_of_time = [], []
    for one, ringer, other in bell_scenes(many):
        track = one.sound(RATE)
        in_time.append(np.median(onsets(track, lowest_hand_times(ringer))))
        out_of_time.append(np.median(onsets(track, lowest_hand_times(other))))
    assert len(in_time) >= 8
    assert np.mean(np.array(in_time) > np.array(out_of_time)) > 0.9
    assert np.median(in_time) > 3 > np.median(out_of_time)


@pytest.mark.parametrize("pair", SOUND_PAIRS.values(), ids=" / ".join)
def test_twins_look_the_same_and_sound_different(pair, many):
    """In one and the same scene, a twin's place taken by the other."""
    one, actor = next((s, a) for s in many for a in s.actors if a.spans[0].activity == pair[0])
    spans = tuple(
        type(span)(**{**vars(span), "activity": pair[1] if span.activity == pair[0] else span.activity})
        for span in actor.spans
    )
    twin = type(actor)(**{**vars(actor), "spans": spans})
    other = scene_without(one)
    other.actors = [twin if somebody is actor else somebody for somebody in one.actors]
    for t in np.arange(0, SECONDS, 0.6):
        np.testing.assert_array_equal(one.frame(t, 0)[0], other.frame(t, 0)[0])
    assert one.actions(0.5) != other.actions(0.5)
    assert not np.array_equal(one.sound(RATE), other.sound(RATE))


def test_without_sound_nobody_does_what_only_sound_tells_apart():
    paired = {name for pair in (*SOUND_PAIRS.values(), TIMING_PAIR) for name in pair}
    for seed in range(30):
        done = {name for t in range(SECONDS) for actions in scene(seed, sounds=False).actions(t) for name in actions}
        assert not done & paired
