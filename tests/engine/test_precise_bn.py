import pytest
import torch
from torch import nn

from avsf_det.engine.precise_bn import average_buffers, update_running_statistics
from avsf_det.models.drop_pathway import AudioGate, DropPathway
from avsf_det.models.norms import BatchNorm3d, Keep, set_norms
from tests.processes import in_processes


class Net(nn.Module):
    """A norm of each kind, DropPathway's draws, and a buffer that is no norm's."""

    def __init__(self):
        super().__init__()
        self.plain, self.by_sound = BatchNorm3d(2), BatchNorm3d(2, by_sound=True)
        self.drop, self.gate = DropPathway(0.0), AudioGate(2, "running_mean")

    def forward(self, x, present):
        keep = self.drop(Keep.known(present))[0]
        return self.gate(self.by_sound(self.plain(x), keep), keep)


BATCHES = [([5.0, 7.0], [True, True]), ([1.0, 9.0, 4.0], [True, False, True]), ([3.0, 2.0], [False, False])]


def make_batches(kinds=BATCHES):
    noise = torch.Generator().manual_seed(4)
    shapes = [(len(means), 2, 2, 3, 3) for means, _ in kinds]
    clips = [torch.randn(shape, generator=noise) for shape in shapes]
    return [
        (x + torch.tensor(means).view(-1, 1, 1, 1, 1), torch.tensor(flags)) for x, (means, flags) in zip(clips, kinds)
    ]


def mean_of_batches(inputs):
    """The mean over batches of the mean (C,) and of the variance (C,)."""
    return [
        torch.stack(values).mean(dim=0)
        for values in zip(*((x.mean(dim=(0, 2, 3, 4)), x.transpose(0, 1).flatten(1).var(dim=1)) for x in inputs))
    ]


def normalised(x):
    return nn.BatchNorm3d(2).train()(x).detach()


def check_precise(net, batches):
    """Whether its running statistics are those of `batches`."""
    sound = [normalised(x)[flags] for x, flags in batches if flags.any()]
    silence = [normalised(x)[~flags] for x, flags in batches if not flags.all()]
    expected = mean_of_batches([x for x, _ in batches]), mean_of_batches(sound), mean_of_batches(silence)
    got = [state[:2] for norm in (net.plain, net.by_sound) for state in norm.states()]
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(list(ours), theirs, rtol=1e-5, atol=1e-5)


def test_statistics_are_the_mean_over_batches_of_each_state():
    net = Net()
    assert update_running_statistics(net, make_batches(), lambda batch: net(*batch)) == 3
    check_precise(net, make_batches())


def test_a_state_without_clips_stays_as_it_is():
    net, batches = Net(), make_batches(BATCHES[:1])
    net.by_sound.silent_running_mean.fill_(5.0)
    update_running_statistics(net, batches, lambda batch: net(*batch))
    assert net.by_sound.silent_running_mean.tolist() == [5.0, 5.0]
    assert [state.count.item() for state in net.by_sound.states()] == [1, 0]  # seen from now on, and not yet


def test_training_goes_on_as_if_nothing_had_been():
    net, batches = Net(), make_batches()
    net.drop.rate = 0.5
    net(*batches[0])
    net.by_sound.eval()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    modes = [module.training for module in net.modules()]
    draws = torch.get_rng_state()
    update_running_statistics(net, batches, lambda batch: net(*batch))
    assert torch.equal(torch.get_rng_state(), draws)
    assert [module.training for module in net.modules()] == modes
    assert net.plain.momentum == 0.1
    changed = {name for name, buffer in net.named_buffers() if not torch.equal(buffer, before[name])}
    assert "plain.running_mean" in changed and not any("gate" in name for name in changed)
    assert all(p.grad is None for p in net.parameters())

    def broken(batch):
        net(*batch)
        raise OSError("the disk is gone")

    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with pytest.raises(OSError):
        update_running_statistics(net, batches, broken)
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())


def test_frozen_norms_are_left_alone():
    net = Net()
    set_norms(net, frozen=True)
    update_running_statistics(net, make_batches(), lambda batch: net(*batch))
    assert torch.equal(net.plain.running_mean, torch.zeros(2))


def recompute(rank, sync_devices):
    net = Net()
    set_norms(net, sync_devices=sync_devices)
    update_running_statistics(net, make_batches()[rank::2], lambda batch: net(*batch))
    return net.state_dict()


def test_processes_agree_on_the_mean_of_all_their_batches():
    first, second = in_processes(recompute, None)
    assert all(torch.equal(first[name], second[name]) for name in first)
    net = Net()
    net.load_state_dict(first)
    check_precise(net, make_batches())


def average(rank):
    net = Net()
    means, flags = BATCHES[2 * rank]
    net(*make_batches([(means, flags)])[0])
    net.gate.running_mean.fill_(rank)
    if rank:
        net(*make_batches([(means, flags)])[0])
    before = {name: buffer.clone() for name, buffer in net.state_dict().items()}
    average_buffers(net)
    return before, net.state_dict()


def test_buffers_become_the_mean_over_processes():
    (first, averaged), (second, same) = in_processes(average)
    assert all(torch.equal(averaged[name], same[name]) for name in averaged)
    close = {"rtol": 1e-6, "atol": 1e-6}
    name = "plain.running_mean"
    torch.testing.assert_close(averaged[name], (first[name] + second[name]) / 2, **close)
    assert averaged["plain.num_batches_tracked"] == 2 and averaged["gate.running_mean"].tolist() == [0.5, 0.5]
    # a state is that of the process which has seen it
    torch.testing.assert_close(averaged["by_sound.running_var"], first["by_sound.running_var"], **close)
    torch.testing.assert_close(averaged["by_sound.silent_running_var"], second["by_sound.silent_running_var"], **close)
    assert averaged["by_sound.num_batches_tracked"] == 1 and averaged["by_sound.silent_num_batches_tracked"] == 2


def test_one_process_has_nothing_to_average():
    net = Net()
    average_buffers(net)
    assert net.plain.num_batches_tracked == 0
