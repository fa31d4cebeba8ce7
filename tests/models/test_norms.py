import pytest
import torch
from torch import nn

from avsf_det.models.norms import BatchNorm3d, Keep, frozen_statistics


def batch(*means, channels=2):
    """Clips of noise around each mean."""
    torch.manual_seed(0)
    return torch.stack([mean + torch.randn(channels, 3, 8, 8) for mean in means])


def keep(*flags):
    return Keep.known(torch.tensor(flags, dtype=torch.bool))


def trained(passes, **arguments):
    norm = BatchNorm3d(2, by_sound=True, **arguments).train()
    for x, kept in passes:
        norm(x, kept)
    return norm


def test_each_state_gathers_its_own_statistics():
    per_batch = [(batch(5.0, 5.0), keep(True, True)), (batch(-3.0, -3.0), keep(False, False))] * 60
    per_clip = [(batch(5.0, -3.0, 5.0), keep(True, False, True))] * 60
    for passes in (per_batch, per_clip):
        norm = trained(passes)
        assert norm.running_mean.mean().item() == pytest.approx(5.0, abs=0.2)
        assert norm.silent_running_mean.mean().item() == pytest.approx(-3.0, abs=0.2)
        assert norm.running_var.mean().item() == pytest.approx(1.0, abs=0.1)


def test_in_training_clips_of_a_state_are_a_batch_of_their_own():
    norm, x = BatchNorm3d(2, by_sound=True).train(), batch(5.0, -3.0, 6.0, -2.0)
    y = norm(x, keep(True, False, True, False))
    torch.testing.assert_close(y[[0, 2]], nn.BatchNorm3d(2).train()(x[[0, 2]]))
    torch.testing.assert_close(y[[1, 3]], nn.BatchNorm3d(2).train()(x[[1, 3]]))


@torch.no_grad()
def test_in_evaluation_each_clip_is_normalised_by_its_state_s_statistics():
    norm = trained([(batch(5.0, -3.0), keep(True, False))] * 60).eval()
    x = batch(5.0, -3.0, 5.0)
    mixed = norm(x, Keep(torch.tensor([True, False, True])))
    assert mixed.mean(dim=(1, 2, 3, 4)).abs().max() < 0.3
    torch.testing.assert_close(mixed[[0, 2]], norm(x[[0, 2]]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mixed[1:2], norm(x[1:2], keep(False)), rtol=1e-5, atol=1e-5)


def test_a_state_that_was_never_seen_shares_the_other_s_statistics():
    norm = trained([(batch(5.0, 5.0), keep(True, True))] * 20)
    assert torch.equal(norm.silent_running_mean, norm.running_mean)
    norm = trained([(batch(5.0, 5.0), keep(False, False))] * 20)
    assert torch.equal(norm.running_mean, norm.silent_running_mean) and norm.running_mean.mean() > 4


def test_statistics_without_silent_ones_serve_both_states():
    norm = BatchNorm3d(2, by_sound=True)
    norm.load_state_dict(trained([(batch(4.0), None)] * 9).state_dict() | {}, strict=True)
    plain = nn.BatchNorm3d(2)
    plain.train()(batch(7.0, 7.0))
    norm.load_state_dict(plain.state_dict())
    assert torch.equal(norm.silent_running_mean, plain.running_mean)
    assert torch.equal(norm.running_var, plain.running_var)


def test_a_norm_that_hears_nothing_is_the_usual_one():
    ours, usual, x = BatchNorm3d(2).train(), nn.BatchNorm3d(2).train(), batch(1.0, 2.0)
    assert torch.equal(ours(x, keep(True, False)), usual(x))
    assert ours.state_dict().keys() == usual.state_dict().keys()


@pytest.mark.parametrize("by_sound", [False, True])
def test_a_repeated_pass_leaves_statistics_as_they_are(by_sound):
    norm = BatchNorm3d(2, by_sound).train()
    first, again = frozen_statistics(norm)
    with first:
        expected = norm(batch(5.0, 5.0))
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    with again:
        assert torch.equal(norm(batch(5.0, 5.0)), expected)
    assert all(torch.equal(buffer, before[name]) for name, buffer in norm.named_buffers())
    assert norm.momentum == 0.1


def test_frozen_norms_train_by_the_statistics_they_have():
    norm = trained([(batch(5.0, -3.0), keep(True, False))] * 60)
    norm.frozen = True
    x, mixed = batch(4.0, -2.0, 6.0), keep(True, False, True)
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    y = norm(x, mixed)
    y.square().sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in norm.named_buffers())
    assert norm.weight.grad.abs().min() > 0 and norm.bias.grad.abs().min() > 0
    torch.testing.assert_close(y, norm.eval()(x, mixed))


@pytest.mark.parametrize("by_sound", [False, True])
def test_no_clips_change_nothing_and_give_a_gradient_of_zero(by_sound):
    norm, nothing = BatchNorm3d(2, by_sound).train(), torch.zeros(0, 2, 3, 8, 8)
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    norm(nothing, keep()).sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in norm.named_buffers())
    assert not norm.weight.grad.any() and not norm.bias.grad.any()
