"""What tests of training share: killing it, and comparing what came out."""

import json
from contextlib import contextmanager

import pytest
import torch

from avsf_det.engine.train import Trainer


class Killed(BaseException):
    """Nothing in the code catches it."""


@contextmanager
def killed(monkeypatch, when):
    """What trains in it is killed before the first step for which `when(trainer)`."""
    learn = Trainer._learn

    def learn_or_die(self, *arguments):
        if when(self):
            raise Killed
        return learn(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Trainer, "_learn", learn_or_die)
        yield


def assert_same_training(one, other):
    one, other = (torch.load(path, weights_only=True) for path in (one, other))
    assert one["epoch"] == other["epoch"]
    assert one["model_state"].keys() == other["model_state"].keys()
    for name, tensor in one["model_state"].items():
        assert torch.equal(tensor, other["model_state"][name]), name
    for number, state in one["optimizer_state"]["state"].items():
        for name, tensor in state.items():
            assert torch.equal(tensor, other["optimizer_state"]["state"][number][name]), name


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
