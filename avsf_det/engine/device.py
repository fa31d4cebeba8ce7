"""Where to compute, and everything that has to be seeded."""

from __future__ import annotations

import random

import numpy as np
import torch

from avsf_det.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device of a config's DEVICE key; "auto" is the first GPU, or else the CPU.

    Raises:
        UserError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"DEVICE {name!r} is not there; expected auto, cpu, or cuda on a machine with a GPU") from None
    return device


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
