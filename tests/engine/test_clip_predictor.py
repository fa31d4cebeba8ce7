from dataclasses import replace

import numpy as np
import pytest
import torch

from avsf_det.data.batch import Collate
from avsf_det.data.classification.clips import Head
from avsf_det.data.classification.dataset import ClipViews
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.dataset import Run
from avsf_det.engine.clip_predictor import ClipPredictor, check_heads, checkpoint_heads
from avsf_det.errors import UserError


@pytest.fixture
def batch(labelled):
    """A function that makes the batch of a predictor's views of the first clip to validate on."""

    def make(predictor, layout):
        folder = ClipFolder(labelled(layout))
        views = ClipViews.from_config(predictor.cfg, folder.clips("val"), folder.root)
        (moments,) = views.read(Run(0, np.array([0])))
        return Collate.from_config(predictor.cfg, views.spec)([view for one in moments for view in views.cuts(one)])

    return make


def test_scores_are_the_heads_softmax_one_after_the_other(trained, batch):
    predictor = ClipPredictor.load(trained("epic_55"))
    some = batch(predictor, "epic_55")
    scores = predictor(some)
    assert scores.shape == (3, 125 + 352) and scores.dtype == np.float32
    np.testing.assert_allclose(scores[:, :125].sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(scores[:, 125:].sum(1), 1, rtol=1e-5)
    logits = predictor.network.model(some.slow, some.fast, some.audio, None, some.audio_present)
    np.testing.assert_allclose(scores[:, :125], predictor.network.model.scores(logits)["verb"].numpy(), rtol=1e-6)


def test_where_several_classes_hold_each_has_a_score_of_its_own(trained, batch):
    predictor = ClipPredictor.load(trained("charades"))
    scores = predictor(batch(predictor, "charades"))
    assert scores.shape == (3, 157) and ((scores > 0) & (scores < 1)).all() and (scores.sum(1) > 1.5).all()


def test_a_file_without_sound_is_scored_by_the_picture_alone(trained, batch):
    path = trained("kinetics")
    hearing, deaf = ClipPredictor.load(path), ClipPredictor.load(path, use_audio=False)
    heard = batch(hearing, "kinetics")
    assert heard.audio_present.all() and not np.array_equal(hearing(heard), deaf(heard))
    silent = replace(heard, audio_present=torch.zeros(3, dtype=torch.bool), audio=torch.randn(heard.audio.shape))
    np.testing.assert_array_equal(hearing(silent), deaf(heard))
    with torch.no_grad():
        visual = hearing.network.model.scores(hearing.network.model(heard.slow, heard.fast, None, None, None)).numpy()
    np.testing.assert_allclose(hearing(silent), visual, rtol=1e-5)
    assert hearing.listens and not deaf.listens


def test_a_model_of_boxes_is_told_from_one_of_whole_clips(weights):
    with pytest.raises(UserError, match=r"a model of boxes, which knows no classes of whole clips; `avsf-det detect`"):
        ClipPredictor.load(weights)


@pytest.mark.parametrize(
    "heads", [None, "verb", [{"name": "verb"}], [3], {"verb": ["take"]}], ids=lambda heads: str(heads)
)
def test_what_are_no_heads_is_told_in_one_line(heads):
    with pytest.raises(UserError, match=r"a.pyth: its heads are no names with classes"):
        checkpoint_heads({"heads": heads}, "a.pyth")


def test_a_precision_that_there_is_not_is_refused(trained):
    with pytest.raises(UserError, match=r"TEST.PRECISION: got 'float8', expected one of float32, bfloat16, auto"):
        ClipPredictor.load(trained("kinetics"), ["TEST.PRECISION", "float8"])


NAMES = ("clapping", "playing drums", "waving hand")


@pytest.mark.parametrize(
    ("heads", "difference"),
    [
        ([Head("action", ("clapping", "singing", "waving hand"))], "class 1 of action is 'singing' there and 'playing"),
        ([Head("action", NAMES[:2])], "class 2 of action is None there and 'waving hand' in it"),
        ([Head("action", (*NAMES, "yawning"))], "class 3 of action is 'yawning' there and None in it"),
        ([Head("verb", NAMES), Head("noun", NAMES)], "verb, noun there and action in it"),
        ([Head("action", NAMES), Head("noun", NAMES)], "action, noun there and action in it"),
        ([Head("action", NAMES, True)], "several classes of action hold at once in one of them, and one in the other"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_of_classes_that_differ_the_first_difference_is_named(heads, difference, labelled):
    folder = ClipFolder(labelled("kinetics"))
    check_heads([Head("action", NAMES)], folder)
    with pytest.raises(UserError, match=difference) as error:
        check_heads(heads, folder)
    assert "take its own dataset" in str(error.value) and "\n" not in str(error.value)
