import numpy as np
import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.data.clip import read_clips
from avsf_det.engine.network import Network
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.structures import Persons

PERSONS = [Persons([[0.1, 0.1, 0.4 + 0.1 * n, 0.9]] * n, [0.9] * n) for n in (2, 0, 1, 3, 1)]


@pytest.fixture(scope="module")
def clips(scenes, weights):
    return list(
        read_clips(scenes / "videos" / "train_0000.mp4", [0.5, 1.0, 2.0, 2.5, 3.0], Predictor.load(weights).spec)
    )


class Small(torch.nn.Module):
    """A model on a GPU whose memory takes so many clips at once."""

    def __init__(self, model, most):
        super().__init__()
        self.model, self.most, self.sizes = model, most, []

    def forward(self, slow, *rest):
        self.sizes.append(len(slow))
        if len(slow) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.model(slow, *rest)


def test_what_memory_does_not_take_at_once_goes_through_in_parts(weights, clips, caplog):
    expected = Predictor.load(weights)(clips, PERSONS)
    predictor = Predictor.load(weights)
    predictor.network.model = small = Small(predictor.network.model, 2)
    for one, other in zip(predictor(clips, PERSONS), expected, strict=True):
        np.testing.assert_allclose(one.actions, other.actions, atol=1e-6)
    assert small.sizes == [5, 2, 2, 1]
    assert "out of memory; from now on 2 clips at once" in caplog.text
    predictor(clips, PERSONS)
    assert small.sizes == [5, 2, 2, 1, 2, 2, 1], "what was too much once is not tried again"


def test_a_clip_that_is_too_much_by_itself_is_an_error_with_a_way_out(weights, clips):
    predictor = Predictor.load(weights)
    predictor.network.model = Small(predictor.network.model, 0)
    with pytest.raises(UserError, match="does not take a single clip; take --precision bfloat16"):
        predictor(clips, PERSONS)


def test_auto_is_bfloat16_where_the_machine_has_it(monkeypatch):
    for fast, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("avsf_det.engine.network.is_fast_in_bfloat16", lambda device, fast=fast: fast)
        cfg = load_cfg(
            None, ["TEST.PRECISION", "auto", "DEVICE", "cpu", "RESNET.DEPTH", "18", "RESNET.WIDTH_PER_GROUP", "8"]
        )
        assert Network(build_model(cfg), cfg).model.dtype == expected
