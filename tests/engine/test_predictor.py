import logging
import weakref

import numpy as np
import pytest
import torch

from ava_eval.label_map import LabelMap, parse_label_map
from avsf_det.config import load_cfg
from avsf_det.data.clip import Clip, read_clips
from avsf_det.data.mirror import mirrored_boxes
from avsf_det.data.transforms import resize
from avsf_det.engine.predictor import Predictor, view_shifts
from avsf_det.errors import UserError
from avsf_det.media.track import Track
from avsf_det.models.build import build_model
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


def mirrored(clip, persons):
    """A clip and its persons as a mirror shows them."""
    boxes = mirrored_boxes(torch.from_numpy(persons.boxes)).numpy()
    return Clip(np.ascontiguousarray(clip.frames[:, :, ::-1]), clip.log_mel), persons.replace(boxes=boxes)


def close(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.actions, other, atol=1e-5)


def views(weights, scales="[]", flip="False", clips="1", *overrides):
    keys = ["TEST.SCALES", scales, "TEST.FLIP", flip, "TEST.NUM_ENSEMBLE_VIEWS", clips]
    return Predictor.load(weights, [*keys, *overrides])


def test_a_single_view_in_a_list_is_the_same_to_the_bit(predictor, weights, video):
    (one,) = predictor.score_video(video, [2.0], [TWO])
    (other,) = views(weights, "[48]").score_video(video, [2.0], [TWO])
    np.testing.assert_array_equal(one.actions, other.actions)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scores_of_several_scales_and_flips_are_the_mean_of_those_of_each(weights, video, precision):
    several = views(weights, "[40, 48, 56]", "True", "1", "TEST.PRECISION", precision)
    clips = list(read_clips(video, [1.0, 2.5], several.spec))
    assert clips[0].frames.shape[1:3] == (56, 75)
    runs = []
    for scale in (40, 48, 56):
        alone = Predictor.load(weights, ["DATA.TEST_CROP_SIZE", str(scale), "TEST.PRECISION", precision])
        small = [Clip(resize(torch.from_numpy(clip.frames), scale).numpy(), clip.log_mel) for clip in clips]
        flipped = [mirrored(clip, found) for clip, found in zip(small, [TWO, ONE])]
        runs += [alone(small, [TWO, ONE]), alone(*zip(*flipped))]
    expected = [np.mean([run[i].actions for run in runs], axis=0) for i in range(2)]
    close(several(clips, [TWO, ONE]), expected)
    close(several.score_video(video, [1.0, 2.5], [TWO, ONE]), expected)
    assert np.abs(expected[0] - runs[0][0].actions).max() > 1e-3


def test_a_mirrored_video_has_the_same_scores(weights, video):
    both = views(weights, flip="True")
    (clip,) = read_clips(video, [2.0], both.spec)
    picture, persons = mirrored(clip, TWO)
    close(both([picture], [persons]), [both([clip], [TWO])[0].actions])


def test_classes_of_a_side_change_places_in_the_mirrored_view(weights, video, tmp_path):
    def rename(checkpoint):
        names = list(parse_label_map(checkpoint["label_map"], "").names)
        text = checkpoint["label_map"].replace(f'"{names[1]}"', '"turn left"').replace(f'"{names[6]}"', '"turn right"')
        checkpoint["label_map"] = text

    renamed = changed(weights, tmp_path, rename)
    plain, both = Predictor.load(renamed), views(renamed, flip="True")
    (clip,) = read_clips(video, [2.0], both.spec)
    picture, persons = mirrored(clip, TWO)
    swapped = plain([picture], [persons])[0].actions
    swapped[:, [1, 6]] = swapped[:, [6, 1]]
    assert np.abs(swapped[:, 1] - swapped[:, 6]).max() > 1e-3
    close(both([clip], [TWO]), [(plain([clip], [TWO])[0].actions + swapped) / 2])


@pytest.mark.parametrize("batch", ["1", "2", "8"])
def test_several_clips_a_keyframe_are_averaged_and_no_frame_is_decoded_twice(weights, video, monkeypatch, batch):
    persons, times, done, decoded, sizes = [TWO, Persons.none(), ONE], [1.0, 1.5, 2.0], [], [], []
    several = views(weights, "[48, 40]", "False", "3", "TEST.BATCH_SIZE", batch)
    alone = views(weights, "[48, 40]")
    shifts = view_shifts(3, several.spec)
    runs = [alone.score_video(video, [t + shift for t in times], persons) for shift in shifts]

    def watched(self, *start):
        for time, frame in decode(self, *start):
            if self.stream.type == "video":
                decoded.append(time)
            yield time, frame

    decode = Track.decode
    monkeypatch.setattr(Track, "decode", watched)
    several.network.model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    scored = several.score_video(video, times, persons, done.append)
    close(scored, [np.mean([run[i].actions for run in runs], axis=0) for i in range(3)])
    assert len(decoded[1:]) == len(set(decoded[1:])) > 20  # the first is what opening the file takes
    assert max(sizes) <= int(batch) and sum(sizes) == 2 * 3 * 2 and sum(done) == 3


def test_every_clip_shows_the_keyframe_and_they_lie_evenly_around_it(predictor):
    spec = predictor.spec
    span = spec.num_frames * spec.sampling_rate / spec.target_fps
    assert view_shifts(1, spec) == [0.0]
    np.testing.assert_allclose(view_shifts(2, spec), [-span / 4, span / 4])
    np.testing.assert_allclose(view_shifts(3, spec), [-span / 3, 0, span / 3])
    for count in range(1, 9):
        shifts = view_shifts(count, spec)
        assert len(shifts) == count and np.abs(shifts).max() < span / 2 and sum(shifts) == pytest.approx(0)


def test_a_long_video_needs_no_more_memory_than_a_batch_of_clips(weights, monkeypatch):
    several, alive, most = views(weights, "[]", "False", "2", "TEST.BATCH_SIZE", "3"), [], []

    def clips(path, centers, spec):
        assert centers == sorted(centers)
        for _ in centers:
            clip = Clip(np.zeros((4, 48, 64, 3), np.uint8), None)
            alive.append(weakref.ref(clip.frames))
            most.append(sum(one() is not None for one in alive))
            yield clip
            del clip

    monkeypatch.setattr("avsf_det.engine.predictor.read_clips", clips)
    several.score_video("film", [i / 2 for i in range(20)], [ONE] * 20)
    assert len(most) == 40 and max(most) <= 3 + 3 + 3 + 2  # in work, collected, read ahead, and a keyframe being read


def test_the_cost_of_several_views_is_told(weights, caplog):
    with caplog.at_level(logging.INFO):
        views(weights)
        assert "views" not in caplog.text
        views(weights, "[40, 48, 56]", "True", "2")
    assert "12 views a keyframe: 3 scales x 2 flips x 2 clips" in caplog.text


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"scales": "[224, 0]"}, r"TEST.SCALES expects 1 to 4096, got \[224, 0\]"),
        ({"scales": "['big']"}, "TEST.SCALES: got"),
        ({"scales": "256"}, "TEST.SCALES expects list"),
        ({"clips": "0"}, "TEST.NUM_ENSEMBLE_VIEWS expects 1 to 1000, got 0"),
    ],
)
def test_views_that_there_cannot_be_are_refused(weights, keys, message):
    with pytest.raises(UserError, match=message):
        views(weights, **keys)


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
    with pytest.raises(UserError, match=r"TEST\.PRECISION: got 'half', expected one of float32, bfloat16, auto"):
        Predictor.load(weights, ["TEST.PRECISION", "half"])


def test_what_sound_does_is_the_difference_to_the_same_clip_without_it(weights, predictor, video):
    explaining, deaf = Predictor.load(weights, explain_audio=True), Predictor.load(weights, use_audio=False)
    (clip,) = read_clips(video, [2.0], predictor.spec)
    mute = type(clip)(clip.frames, None)
    computed = []
    explaining.network.model.register_forward_pre_hook(lambda _, inputs: computed.append(len(inputs[0])))
    heard, unheard = explaining([clip, mute], [TWO, ONE])
    assert computed == [2, 1]  # the clip without sound is not computed again
    np.testing.assert_allclose(heard.actions, predictor([clip], [TWO])[0].actions, atol=1e-5)
    np.testing.assert_allclose(heard.silent, deaf([clip], [TWO])[0].actions, atol=1e-5)
    np.testing.assert_array_equal(unheard.silent, unheard.actions)
    assert not np.array_equal(heard.silent, heard.actions)


def test_a_video_is_explained_as_its_clips_are_and_nobody_has_no_scores(weights, video):
    explaining = Predictor.load(weights, ["TEST.NUM_ENSEMBLE_VIEWS", "2"], explain_audio=True)
    deaf = Predictor.load(weights, ["TEST.NUM_ENSEMBLE_VIEWS", "2"], use_audio=False)
    persons = [TWO, Persons.none(), ONE]
    scored, silent = (p.score_video(video, [1.0, 2.0, 3.0], persons) for p in (explaining, deaf))
    for found, other in zip(scored, silent):
        np.testing.assert_allclose(found.silent, other.actions, atol=1e-5)


def test_a_model_that_does_not_listen_has_nothing_to_explain(tiny):
    cfg = load_cfg(None, [*tiny, "MODEL.MODEL_NAME", "SlowFast"])
    label_map = LabelMap.from_dict({1: "clap"})
    with pytest.raises(UserError, match="SlowFast does not listen"):
        Predictor(build_model(cfg), cfg, label_map, explain_audio=True)


def test_the_identity_changes_with_whatever_scores_hang_on(weights, tmp_path):
    identity = Predictor.load(weights).identity
    assert Predictor.load(weights).identity == identity
    assert Predictor.load(weights, use_audio=False).identity != identity
    assert Predictor.load(weights, ["TEST.FLIP", "True"]).identity != identity
    checkpoint = torch.load(weights, weights_only=True)
    next(iter(checkpoint["model_state"].values())).view(-1)[0] += 1e-3
    torch.save(checkpoint, tmp_path / "other.pyth")
    assert Predictor.load(tmp_path / "other.pyth").identity != identity
