import numpy as np
import pytest
import torch

from avsf_det.data.clip import read_clips
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.structures import Persons

TWO = Persons([[0.1, 0.1, 0.5, 0.9], [0.4, 0.2, 0.9, 1.0]], [0.9, 0.8], [4, 7])
ONE = Persons([[0.0, 0.0, 1.0, 1.0]], [1.0])


@pytest.fixture(scope="module")
def predictor(weights):
    return Predictor.load(weights)


@pytest.fixture(scope="module")
def video(scenes):
    return scenes / "videos" / "train_0000.mp4"


def test_weights_bring_their_configuration_and_label_map(predictor, tiny):
    assert predictor.cfg.RESNET.WIDTH_PER_GROUP == 8
    assert "clap" in predictor.label_map.names and len(predictor.label_map) == predictor.cfg.MODEL.NUM_CLASSES


def test_every_person_gets_a_score_for_every_action_and_nothing_else_changes(predictor, video):
    clips = list(read_clips(video, [1.0, 2.0, 3.0], predictor.spec))
    scored = predictor(clips, [TWO, Persons.none(), ONE])
    classes = len(predictor.label_map)
    assert [found.actions.shape for found in scored] == [(2, classes), (0, classes), (1, classes)]
    assert all(((found.actions >= 0) & (found.actions <= 1)).all() for found in scored)
    np.testing.assert_array_equal(scored[0].boxes, TWO.boxes)
    assert scored[0].ids.tolist() == [4, 7]


def test_a_person_has_the_same_scores_alone_and_in_company(predictor, video):
    clips = list(read_clips(video, [1.0, 2.5], predictor.spec))
    together = predictor(clips, [TWO, ONE])
    np.testing.assert_allclose(predictor(clips[:1], [TWO[1:]])[0].actions, together[0].actions[1:], atol=1e-5)
    np.testing.assert_allclose(predictor(clips[1:], [ONE])[0].actions, together[1].actions, atol=1e-5)


def test_a_video_is_scored_as_its_clips_are_and_where_nobody_is_nothing_is_read(predictor, video):
    done, persons = [], [TWO, Persons.none(), ONE]
    scored = predictor.score_video(video, [1.0, 2.0, 3.0], persons, done.append)
    clips = list(read_clips(video, [1.0, 3.0], predictor.spec))
    expected = predictor(clips, [TWO, ONE])
    for found, other in zip((scored[0], scored[2]), expected):
        np.testing.assert_allclose(found.actions, other.actions, atol=1e-5)
    assert scored[1].actions.shape == (0, len(predictor.label_map)) and sum(done) == 3
    nobody = predictor.score_video("no such file", [1.0], [Persons.none()])
    assert len(nobody[0]) == 0


def test_with_sound_off_a_video_is_as_if_it_had_no_track(predictor, weights, video):
    (clip,) = read_clips(video, [2.0], predictor.spec)
    assert clip.log_mel is not None
    mute = type(clip)(clip.frames, None)
    deaf = Predictor.load(weights, use_audio=False)
    np.testing.assert_array_equal(deaf([clip], [TWO])[0].actions, predictor([mute], [TWO])[0].actions)
    assert not np.array_equal(deaf([clip], [TWO])[0].actions, predictor([clip], [TWO])[0].actions)


def changed(weights, tmp_path, change):
    checkpoint = torch.load(weights, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "changed.pyth")
    return tmp_path / "changed.pyth"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("cfg"), "carries no configuration"),
        (lambda c: c.pop("label_map"), "carries no label map"),
        (lambda c: c.update(cfg="NEW: {KEY: 1}"), "changed.pyth: unknown config key NEW.KEY"),
        (lambda c: c["model_state"].popitem(), "weights of another model than the configured one"),
    ],
)
def test_a_checkpoint_that_lacks_something_is_named(weights, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        Predictor.load(changed(weights, tmp_path, change))


@pytest.mark.parametrize(
    "overrides",
    [
        ["MODEL.NUM_CLASSES", "3"],
        ["MODEL.MODEL_NAME", "SlowFast"],
        ["RESNET.WIDTH_PER_GROUP", "16"],
        ["RESNET.DEPTH", "50"],
    ],
    ids=str,
)
def test_weights_of_another_model_are_refused(weights, overrides):
    with pytest.raises(UserError, match="weights of another") as error:
        Predictor.load(weights, overrides)
    assert "\n" not in str(error.value)


def test_in_bfloat16_scores_hardly_change(predictor, weights, video):
    (clip,) = read_clips(video, [2.0], predictor.spec)
    low = Predictor.load(weights, ["TEST.PRECISION", "bfloat16"])
    difference = np.abs(low([clip], [TWO])[0].actions - predictor([clip], [TWO])[0].actions)
    assert 0 < difference.max() <= 0.01
    with pytest.raises(UserError, match=r"TEST\.PRECISION: got 'half', expected one of float32, bfloat16"):
        Predictor.load(weights, ["TEST.PRECISION", "half"])
