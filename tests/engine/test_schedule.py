import math

import pytest
import torch
from torch import nn

from avsf_det.config import load_cfg
from avsf_det.engine.schedule import base_lr, build_optimizer, lr_at
from avsf_det.errors import UserError

COSINE = ["SOLVER.LR_POLICY", "cosine", "SOLVER.MAX_EPOCH", "20", "SOLVER.WARMUP_EPOCHS", "5.0"]
STEPS = ["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", "[0, 10, 15, 20]",
         "SOLVER.LRS", "[1, 0.1, 0.01, 0.001]", "SOLVER.WARMUP_EPOCHS", "0.0"]  # fmt: skip
CLIPS = ["SOLVER.BASE_LR", "0.1", "TRAIN.BATCH_SIZE", "64"]


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0.0, 0.000125),
        (2.5, (0.000125 + 0.05 * (1 + math.cos(math.pi / 4))) / 2),
        (5.0, 0.05 * (1 + math.cos(math.pi / 4))),
        (10.0, 0.05),
        (15.0, 0.05 * (1 - math.sqrt(0.5))),
        (20.0, 0.0),
    ],
)
def test_cosine_is_pyslowfasts_with_a_linear_warm_up_to_where_it_will_be(epoch, expected):
    assert lr_at(epoch, load_cfg(None, COSINE + CLIPS)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("epoch", "share"), [(0, 1), (9.99, 1), (10, 0.1), (14.9, 0.1), (15, 0.01), (19.9, 0.01)])
def test_steps_are_shares_of_the_base_from_their_epoch_on(epoch, share):
    assert lr_at(epoch, load_cfg(None, STEPS + CLIPS)) == pytest.approx(0.1 * share)


def test_the_rate_goes_with_the_batch():
    cfg = load_cfg(None, ["SOLVER.BASE_LR", "0.1", "SOLVER.BASE_BATCH_SIZE", "64", "TRAIN.BATCH_SIZE", "16"])
    assert base_lr(cfg) == pytest.approx(0.025)


@pytest.mark.parametrize("method", ["sgd", "adamw"])
def test_norms_and_biases_are_not_decayed(method):
    model = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
    cfg = load_cfg(None, ["SOLVER.OPTIMIZING_METHOD", method, "SOLVER.WEIGHT_DECAY", "0.5"])
    optimizer = build_optimizer(model, cfg)
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    changed = [not torch.equal(p, b) for p, b in zip(model.parameters(), before)]
    assert changed == [True, False, False, False]


@pytest.mark.parametrize("key", ["LR_POLICY", "OPTIMIZING_METHOD"])
def test_an_unknown_name_gets_the_known_ones(key):
    cfg = load_cfg(None, [f"SOLVER.{key}", "magic"])
    with pytest.raises(UserError, match=rf"SOLVER.{key} expects \w+ or \w+, got 'magic'"):
        lr_at(7, cfg)
        build_optimizer(nn.Linear(1, 1), cfg)
