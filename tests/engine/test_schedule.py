import math

import pytest
import torch
from torch import nn

from avsf_det.config import load_cfg
from avsf_det.engine.schedule import base_lr, build_optimizer, describe_schedule, lr_at
from avsf_det.errors import UserError

COSINE = ["SOLVER.LR_POLICY", "cosine", "SOLVER.MAX_EPOCH", "20", "SOLVER.WARMUP_EPOCHS", "5.0"]
STEPS = ["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", "[0, 10, 15, 20]",
         "SOLVER.LRS", "[1, 0.1, 0.01, 0.001]", "SOLVER.WARMUP_EPOCHS", "0.0"]  # fmt: skip
BASE = ["SOLVER.BASE_LR", "0.1", "SOLVER.BASE_BATCH_SIZE", "64"]


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
    assert lr_at(epoch, load_cfg(None, COSINE + BASE), 64) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("epoch", "share"), [(0, 1), (9.99, 1), (10, 0.1), (14.9, 0.1), (15, 0.01), (19.9, 0.01)])
def test_steps_are_shares_of_the_base_from_their_epoch_on(epoch, share):
    assert lr_at(epoch, load_cfg(None, STEPS + BASE), 64) == pytest.approx(0.1 * share)


def pyslowfast_lr(epoch, solver, base):
    """PySlowFast's rule, in its own terms: which of STEPS comes next, and a warm-up towards its end's rate."""

    def policy(at):
        if solver.LR_POLICY == "cosine":
            offset = solver.WARMUP_EPOCHS if solver.COSINE_AFTER_WARMUP else 0
            turn = math.pi * (at - offset) / (solver.MAX_EPOCH - offset)
            return solver.COSINE_END_LR + (base - solver.COSINE_END_LR) * (math.cos(turn) + 1) * 0.5
        ends = [*solver.STEPS, solver.MAX_EPOCH]
        return base * solver.LRS[next((i for i, end in enumerate(ends) if at < end), len(ends) - 1) - 1]

    if epoch >= solver.WARMUP_EPOCHS:
        return policy(epoch)
    slope = (policy(solver.WARMUP_EPOCHS) - solver.WARMUP_START_LR) / solver.WARMUP_EPOCHS
    return epoch * slope + solver.WARMUP_START_LR


@pytest.mark.parametrize(
    "keys",
    [
        COSINE,
        [*COSINE, "SOLVER.COSINE_AFTER_WARMUP", "True", "SOLVER.COSINE_END_LR", "0.001"],
        STEPS,
        [*STEPS, "SOLVER.WARMUP_EPOCHS", "12.0"],
    ],
)
def test_every_policy_is_pyslowfast_s_at_every_moment(keys):
    cfg = load_cfg(None, keys + BASE)
    for i in range(201):
        assert lr_at(i / 10, cfg, 64) == pytest.approx(pyslowfast_lr(i / 10, cfg.SOLVER, 0.1), abs=1e-12)


def test_a_cosine_after_the_warm_up_starts_from_the_base_and_ends_where_it_is_told():
    keys = ["SOLVER.COSINE_AFTER_WARMUP", "True", "SOLVER.COSINE_END_LR", "0.001"]
    cfg = load_cfg(None, COSINE + BASE + keys)
    assert lr_at(5, cfg, 64) == pytest.approx(0.1) and lr_at(20, cfg, 64) == pytest.approx(0.001)


@pytest.mark.parametrize("epoch", [0.0, 2.5, 5.0, 12.3])
def test_every_rate_goes_with_the_clips_of_a_step(epoch):
    cfg = load_cfg(None, STEPS + BASE + ["SOLVER.WARMUP_EPOCHS", "5.0"])
    assert base_lr(cfg, 16) == pytest.approx(0.025)
    assert lr_at(epoch, cfg, 16) == pytest.approx(lr_at(epoch, cfg, 64) / 4)
    assert lr_at(epoch, cfg, 512) == pytest.approx(lr_at(epoch, cfg, 64) * 8)


def test_the_schedule_is_told_in_one_line():
    cfg = load_cfg(None, STEPS + BASE + ["SOLVER.WARMUP_EPOCHS", "5.0", "SOLVER.MAX_EPOCH", "18"])
    assert describe_schedule(cfg, 16) == (
        "0.1 per 64 clips x 16 clips = 0.025; warm-up 5 epochs from 3.1e-05; x0.1 at 10, x0.01 at 15; 18 epochs, sgd"
    )
    cfg = load_cfg(None, COSINE + BASE + ["SOLVER.WARMUP_EPOCHS", "0.0", "SOLVER.OPTIMIZING_METHOD", "adamw"])
    assert describe_schedule(cfg, 64) == "0.1 per 64 clips x 64 clips = 0.1; half a cosine to 0; 20 epochs, adamw"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["SOLVER.STEPS", "[0, 10, 5, 5]", "SOLVER.LRS", "[1, 1, 1, 1]"], r"got \[0, 10, 5, 5\] .* ascending"),
        (["SOLVER.STEPS", "[2, 10]", "SOLVER.LRS", "[1, 1]"], "from 0 on"),
        (["SOLVER.STEPS", "[0, 10]", "SOLVER.LRS", "[1, 1, 1]"], "one for each of LRS"),
        (
            ["SOLVER.LR_POLICY", "cosine", "SOLVER.COSINE_END_LR", "0.2"],
            "END_LR 0.2 .* below SOLVER.BASE_LR 0.1",
        ),
    ],
)
def test_a_schedule_that_does_not_fit_together_is_refused(keys, message):
    with pytest.raises(UserError, match=message):
        describe_schedule(load_cfg(None, STEPS + BASE + keys), 64)


@pytest.mark.parametrize("method", ["sgd", "adamw"])
def test_norms_and_biases_are_not_decayed(method):
    model = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
    cfg = load_cfg(None, ["SOLVER.OPTIMIZING_METHOD", method, "SOLVER.WEIGHT_DECAY", "0.5"])
    optimizer = build_optimizer(model, cfg, 64)
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
        lr_at(7, cfg, 64)
        build_optimizer(nn.Linear(1, 1), cfg, 64)


def test_what_does_not_learn_is_left_to_itself():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).requires_grad_(False))
    groups = build_optimizer(model, load_cfg(), 64).param_groups
    assert [len(group["params"]) for group in groups] == [1, 1]
