import pytest
import torch
from torch.utils.checkpoint import checkpoint

from avsf_det.models.norms import BatchNorm3d, Keep, frozen_statistics, set_norms
from avsf_det.models.sync_batch_norm import sync_group
from tests.processes import in_processes

ALL, NONE = (True,) * 3, (False,) * 3
SHARES = {  # the clips of each process: whether they keep their sound
    "as many clips of each": ((True, False), (False, True)),
    "more in one": ((True, True, False, True), (False,)),
    "one state each": (ALL, NONE),
    "a state in one process alone": ((True, False, True), ALL),
    "all with sound": (ALL, (True,)),
    "none with sound": (NONE, (False,)),
    "no clips in the first": ((), (True, False, False)),
    "no clips in the second": (ALL, ()),
}


def batch(flags, step=0, dtype=torch.float64):
    """Clips around a mean far from 0, that of clips with sound another."""
    noise = torch.Generator().manual_seed(10 * len(flags) + step)
    x = torch.randn(len(flags), 3, 2, 4, 4, generator=noise, dtype=torch.float64)
    return (x + 50 + 7 * torch.tensor(flags).view(-1, 1, 1, 1, 1)).to(dtype)


def learn(norm, x, flags, repeated=False):
    """Outputs and gradients of a step, in which each output has a weight of its own."""
    x, keep = x.clone().requires_grad_(), Keep.known(torch.tensor(flags, dtype=torch.bool))
    norm.zero_grad()
    if repeated:
        y = checkpoint(norm, x, keep, use_reentrant=False, context_fn=lambda: frozen_statistics(norm))
    else:
        y = norm(x, keep)
    (y.square() * torch.linspace(-1, 2, 3 * 4).view(3, 1, 4, 1).to(y.dtype) + 3 * y).sum().backward()
    return {"y": y.detach(), "x": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}


def make_norm(by_sound, dtype=torch.float64):
    norm = BatchNorm3d(3, by_sound).to(dtype).train()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
        norm.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    return norm


def learn_in_process(rank):
    results = {}
    for by_sound in (False, True):
        for name, shares in SHARES.items():
            for repeated in (False, True):
                norm = make_norm(by_sound)
                set_norms(norm, sync_devices=0)
                for step in range(2):
                    whole = batch(sum(shares, ()), step)
                    mine = whole.split([len(share) for share in shares])[rank]
                    got = learn(norm, mine, shares[rank], repeated)
                results[by_sound, name, repeated] = (got, dict(norm.named_buffers()))
    shares, norm = SHARES["more in one"], make_norm(True, torch.float32)
    set_norms(norm, sync_devices=0)
    mine = batch(sum(shares, ()), dtype=torch.bfloat16).split([len(share) for share in shares])[rank]
    results["bfloat16"] = learn(norm, mine, shares[rank])
    return results


@pytest.fixture(scope="module")
def two_processes():
    return in_processes(learn_in_process)


@pytest.mark.parametrize("by_sound", [False, True])
@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("repeated", [False, True])
def test_two_processes_with_parts_of_a_batch_do_what_one_does_with_all(two_processes, by_sound, name, repeated):
    shares, norm = SHARES[name], make_norm(by_sound)
    for step in range(2):
        expected = learn(norm, batch(sum(shares, ()), step), sum(shares, ()))
    first, second = (process[by_sound, name, repeated] for process in two_processes)
    close = {"rtol": 1e-9, "atol": 1e-9}
    for key in ("y", "x"):
        torch.testing.assert_close(torch.cat((first[0][key], second[0][key])), expected[key], **close)
    for key in ("weight", "bias"):
        torch.testing.assert_close(first[0][key] + second[0][key], expected[key], **close)
    for buffers in (first[1], second[1]):
        for key, buffer in norm.named_buffers():
            torch.testing.assert_close(buffers[key], buffer, **close)


def test_halved_precision_is_that_of_the_plain_norm(two_processes):
    flags = sum(SHARES["more in one"], ())
    expected = learn(make_norm(True, torch.float32), batch(flags, dtype=torch.bfloat16), flags)
    first, second = (process["bfloat16"] for process in two_processes)
    for key in ("y", "x"):
        got = torch.cat((first[key], second[key]))
        assert got.dtype == torch.bfloat16
        assert (got - expected[key]).abs().max() < 0.03 * expected[key].abs().max()
    torch.testing.assert_close(first["weight"] + second["weight"], expected["weight"], rtol=1e-2, atol=0.5)


def mean_in_group(rank, devices):
    norm = BatchNorm3d(1).train()
    norm.sync_devices, norm.momentum = devices, 1.0
    norm(torch.full((2, 1, 1, 1, 1), float(rank)))
    return norm.running_mean.item()


def test_processes_in_a_row_make_a_group():
    assert in_processes(mean_in_group, 2, count=4) == [0.5, 0.5, 2.5, 2.5]


def refused(rank):
    with pytest.raises(ValueError, match="norms over 3 processes: got 2 processes, expected a multiple"):
        sync_group(3)
    return [sync_group(devices) is None for devices in (None, 1, 0, 2)]


def test_a_group_that_cannot_be_is_refused_and_one_process_is_none():
    assert in_processes(refused) == [[True, True, False, False]] * 2
    assert sync_group(0) is None
