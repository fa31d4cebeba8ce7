import numpy as np
import pytest

from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.scenes.activities import ACTIVITIES, SOUND_PAIRS, TIMING_PAIR
from avsf_det.data.scenes.figure import Body
from avsf_det.data.scenes.generator import ScenesSpec
from avsf_det.data.scenes.solo import SoloScene, generate_solos
from avsf_det.media.source import probe_source

SPEC = ScenesSpec({"train": 12, "val": 2}, width=64, height=48, duration=3, seed=5)


def solo(activity, seed=3):
    rng = np.random.default_rng(seed)
    return SoloScene(activity, rng, [Body.draw(rng)], [1, 2], 96, 72, 3)


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_one_person_does_one_thing(activity):
    scene = solo(activity)
    assert all(actions[1:] == (activity,) for t in (0.0, 1.3, 2.9) for actions in scene.actions(t))
    (box,) = scene.frame(1.3, 0)[1]
    assert box is not None


@pytest.mark.parametrize("one, other", [*SOUND_PAIRS.values(), TIMING_PAIR])
def test_twins_look_the_same_and_sound_otherwise(one, other):
    one, other = solo(one), solo(other)
    for t in (0.5, 1.7):
        np.testing.assert_array_equal(one.frame(t, 7)[0], other.frame(t, 7)[0])
    assert np.abs(one.sound(16000) - other.sound(16000)).max() > 0.1


def test_a_dataset_is_laid_out_as_kinetics(tmp_path):
    generate_solos(tmp_path, SPEC, workers=1)
    folder = ClipFolder(tmp_path, "kinetics")
    train, val = folder.clips("train"), folder.clips("val")
    assert folder.heads[0].classes == tuple(sorted(ACTIVITIES))
    assert train.class_counts().tolist() == [2, 2] + [1] * 8 and len(val) == 2
    for clip in train:
        info = probe_source(folder.root / clip.video)
        assert info.has_audio and info.duration == pytest.approx(3.0, abs=0.1)
        assert clip.video.split("/")[1] == folder.heads[0].classes[clip.labels.argmax()]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    generate_solos(tmp_path, SPEC, workers=1)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
