import random

import numpy as np
import pytest
import torch

from avsf_det.engine.device import choose_device, is_fast_in_bfloat16, seed_everything
from avsf_det.errors import UserError


def test_auto_is_the_gpu_where_there_is_one():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "meta2"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(UserError, match=f"DEVICE '{name}' is not there; expected auto, cpu, or cuda"):
        choose_device(name)


@pytest.mark.parametrize("capability, fast", [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_since_ampere_have_bfloat16(monkeypatch, capability, fast):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert is_fast_in_bfloat16(torch.device("cuda", 0)) == fast


def test_everything_random_is_seeded():
    drawn = []
    for _ in range(2):
        seed_everything(2**33 + 1)
        drawn.append((random.random(), np.random.uniform(), torch.rand(()).item()))
    assert drawn[0] == drawn[1]
