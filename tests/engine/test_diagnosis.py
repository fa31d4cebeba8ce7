from types import SimpleNamespace

import pytest
import torch
from torch import nn

from avsf_det.engine.diagnosis import explain

CLIPS = [("film_a", 902.0), ("film_b", 1000.5), ("film_a", 903.0)]


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture
def batch():
    return SimpleNamespace(fast=torch.ones(3, 4), audio=torch.ones(3, 2), misaligned=None, clips=CLIPS)


def test_weights_that_are_broken_already_are_named(model, batch):
    model[2].bias.data[1] = torch.nan
    assert explain(model, [batch], lambda one: model(one.fast)) == "the weights 2.bias are no numbers already"


def test_an_input_is_named_with_its_clip(model, batch):
    batch.audio[1, 0] = torch.inf
    assert explain(model, [batch], lambda one: model(one.fast)) == "the input audio of clip film_b at 1000.5 s"


def test_the_first_broken_module_is_named_with_the_clips(model, batch):
    batch.fast[0] = batch.fast[2] = 1e38
    model[0].weight.data.fill_(3e38)
    found = explain(model, [batch], lambda one: model(one.fast))
    assert found == "the output of module 0 for clips film_a at 902 s, film_b at 1000.5 s, film_a at 903 s"
    batch.fast[1] = 0.0
    assert explain(model, [batch], lambda one: model(one.fast)).endswith("clips film_a at 902 s, film_a at 903 s")


def test_a_gradient_is_named_where_all_else_is_well(model, batch):
    model[2].weight.grad = torch.full((2, 4), torch.nan)
    batch.clips = CLIPS * 2
    assert explain(model, [batch], lambda one: model(one.fast)) == (
        "the gradient of 2.weight, of a batch with clips film_a at 902 s, film_b at 1000.5 s, film_a at 903 s, "
        "film_a at 902 s and 2 more"
    )
