from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.scenes import solo as module
from avsf_det.data.scenes.activities import ACTIVITIES, SOUND_PAIRS, TIMING_PAIR
from avsf_det.data.scenes.figure import Body
from avsf_det.data.scenes.generator import BODIES, CASTS, TRACKS, ScenesSpec, cast_of, generate, track_of
from avsf_det.data.scenes.solo import LOUD, SoloScene, generate_solos, generate_unlabelled
from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.source import probe_source
from avsf_det.media.video import probe

SPEC = ScenesSpec({"train": 12, "val": 2}, width=64, height=48, duration=3, seed=5)
ALONE = replace(SPEC, scenes={"unlabelled": 4})
TWINS = [*SOUND_PAIRS.values(), TIMING_PAIR]


def solo(activity, seed=3):
    rng = np.random.default_rng(seed)
    return SoloScene(activity, rng, [Body.draw(rng)], [1, 2], 96, 72, 3)


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_one_person_does_one_thing(activity):
    scene = solo(activity)
    assert all(actions[1:] == (activity,) for t in (0.0, 1.3, 2.9) for actions in scene.actions(t))
    (box,) = scene.frame(1.3, 0)[1]
    assert box is not None


@pytest.fixture
def written(monkeypatch):
    """A list of (path, scene, track, frame rate, sample rate) of videos, filled instead of writing them."""
    videos = []
    monkeypatch.setattr(module, "write_video", lambda path, spec, *what: videos.append((path, *what)))
    return videos


@pytest.mark.parametrize("one, other", TWINS)
def test_twins_look_the_same_and_only_the_beats_sound_otherwise(one, other):
    scenes = solo(one), solo(other)
    for t in (0.5, 1.7):
        np.testing.assert_array_equal(*(scene.frame(t, 7)[0] for scene in scenes))
    first, second = (scene.sound(16000) for scene in scenes)
    beats = scenes[0].actors[0].beats[ACTIVITIES[one].motion].sounding()
    since = np.arange(len(first)) / 16000 - np.array([-9.0, *beats])[:, None]
    near = ((since > -0.001) & (since < 0.4)).any(axis=0)
    assert np.abs(first - second)[near].max() > 0.1
    np.testing.assert_array_equal(first[~near], second[~near])


def test_frame_and_sample_rates_tell_nothing_of_the_class(written, tmp_path):
    for number in range(1000):
        module._write_solo(tmp_path, SPEC, "train", number)
    counts = Counter((scene.actors[0].spans[0].activity, float(rate), sample) for _, scene, _, rate, sample in written)
    assert len(counts) == 10 * 3 * 2 and max(counts.values()) < 2.5 * 1000 / len(counts)


def test_a_twin_is_only_in_videos_with_sound_and_all_classes_are_equally_frequent(written, tmp_path):
    for number in range(100):
        module._write_solo(tmp_path, SPEC, "train", number)
    labels = [path.parent.name for path, *_ in written]
    assert set(Counter(labels).values()) == {10} and set(labels) == set(ACTIVITIES)
    assert labels == [scene.actors[0].spans[0].activity for _, scene, *_ in written]
    tracks = Counter(track for _, _, track, *_ in written)
    assert tracks == {"sound": 92, "silent": 4, "none": 4}
    mute = {(label, track) for label, (_, _, track, *_) in zip(labels, written) if track != "sound"}
    assert mute == {(label, track) for label in ("carry a box", "wave") for track in ("silent", "none")}


def test_no_split_shares_bodies_or_places_and_unlabelled_videos_have_their_own():
    casts = [cast_of(5, name) for name in CASTS]
    for parts in zip(*casts):
        assert [len(part) for part in parts] == [BODIES[name] for name in CASTS]
        assert len(set().union(*parts)) == sum(map(len, parts))


def test_most_unlabelled_videos_are_of_something_heard_at_uneven_beats(written, tmp_path):
    for number in range(200):
        module._write_unlabelled(tmp_path, ALONE, "unlabelled", number)
    shown = Counter(scene.actors[0].spans[0].activity for _, scene, *_ in written)
    assert set(shown) == set(ACTIVITIES) and 140 < sum(shown[name] for name in LOUD) < 185
    assert Counter(track for _, _, track, *_ in written) == {"sound": 184, "silent": 8, "none": 8}
    gaps = [np.diff(next(iter(scene.actors[0].beats.values())).times) for _, scene, *_ in written]
    assert np.median([gap.std() / gap.mean() for gap in gaps]) > 0.15


def test_an_unlabelled_dataset_is_a_folder_of_videos(tmp_path):
    generate_unlabelled(tmp_path, ALONE, workers=1)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"scenes.json", *(f"unlabelled_{number:06d}.mp4" for number in range(4))}
    folder = ClipFolder(tmp_path, "unlabelled")
    assert len(folder.clips("train")) == 4 and folder.heads == ()


@pytest.mark.parametrize(("number", "kind"), [*TRACKS.items(), (0, "sound")])
def test_soundtracks_are_alike_but_for_what_is_heard(tmp_path, number, kind):
    module._write_unlabelled(tmp_path, ALONE, "unlabelled", number)
    path = tmp_path / f"unlabelled_{number:06d}.mp4"
    assert track_of(number) == kind and probe(path).has_audio == (kind != "none")
    assert (np.abs(AudioReader(path).read(0, 3)).max() > 1e-3) == (kind == "sound")


@pytest.mark.parametrize(("write", "spec"), [(generate_solos, SPEC), (generate_unlabelled, ALONE)])
def test_what_is_there_is_not_made_again_and_another_spec_is_refused(write, spec, tmp_path, monkeypatch):
    spec = replace(spec, scenes={"val": 3} if write is generate_solos else {"unlabelled": 3})
    write(tmp_path, spec, workers=1)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*.mp4")}
    gone = min(before)
    gone.unlink()
    write(tmp_path, spec, workers=1)
    assert gone.read_bytes() == before.pop(gone)[0]
    assert all((path.read_bytes(), path.stat().st_mtime_ns) == was for path, was in before.items())
    for other in (replace(spec, seed=7), replace(spec, width=96)):
        with pytest.raises(UserError, match="another size, seed, number or layout"):
            write(tmp_path, other, workers=1)
    with pytest.raises(UserError, match="another size, seed, number or layout"):
        generate(tmp_path, spec, workers=1)
    monkeypatch.setattr(module, "write_video", None)  # as if later code wrote other videos
    write(tmp_path, spec, workers=1)


@pytest.mark.parametrize(("write", "spec"), [(generate_solos, SPEC), (generate_unlabelled, ALONE)])
def test_what_cannot_be_made_is_named(write, spec, tmp_path):
    with pytest.raises(UserError, match="expected at least 48x48 pixels and 3 s"):
        write(tmp_path / "small", replace(spec, duration=2), workers=1)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/scenes: Not a directory"):
        write(tmp_path / "file" / "scenes", spec, workers=1)


def test_a_dataset_is_laid_out_as_kinetics(tmp_path):
    generate_solos(tmp_path, SPEC, workers=1)
    folder = ClipFolder(tmp_path, "kinetics")
    train, val = folder.clips("train"), folder.clips("val")
    assert folder.heads[0].classes == tuple(sorted(ACTIVITIES))
    assert train.class_counts().tolist() == [3] + [1] * 9 and len(val) == 2
    for clip in train:
        info = probe_source(folder.root / clip.video)
        assert info.duration == pytest.approx(3.0, abs=0.1)
        assert clip.video.split("/")[1] == folder.heads[0].classes[clip.labels.argmax()]
