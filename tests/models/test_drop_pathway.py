import random

import pytest
import torch

from avsf_det.models.drop_pathway import AudioGate, DropPathway
from avsf_det.models.norms import Keep


def present(*flags):
    return Keep.known(torch.tensor(flags))


EVERYONE = present(True, True, True, True)


def kept_shares(drop, clips, draws=1000):
    torch.manual_seed(0)
    return torch.stack([torch.stack([keep.mask for keep in drop(clips)]) for _ in range(draws)]).float()


def test_one_draw_a_batch_drops_all_or_none():
    laterals, head = kept_shares(DropPathway(0.8, "laterals").train(), EVERYONE).unbind(dim=1)
    assert set(laterals.mean(dim=1).tolist()) == {0.0, 1.0}
    assert laterals.mean() == pytest.approx(0.2, abs=0.04)
    assert head.min() == 1.0


def test_one_draw_a_clip_drops_each_for_itself():
    laterals = kept_shares(DropPathway(0.8, per_sample=True).train(), EVERYONE)[:, 0]
    assert laterals.mean(dim=0).tolist() == pytest.approx([0.2] * 4, abs=0.05)
    assert len(set(laterals.mean(dim=1).tolist())) > 2


def test_the_pathway_scope_drops_the_head_with_the_laterals():
    for drop in (DropPathway(0.5, "pathway"), DropPathway(0.5)):  # the paper's is the default
        laterals, head = kept_shares(drop.train(), EVERYONE).unbind(dim=1)
        assert torch.equal(laterals, head) and 0.0 < head.mean() < 1.0


def test_a_clip_without_sound_never_gets_some():
    clips = present(True, False)
    assert kept_shares(DropPathway(0.0).train(), clips).mean(dim=(0, 1)).tolist() == [1.0, 0.0]
    assert kept_shares(DropPathway(0.5, per_sample=True).train(), clips)[..., 1].max() == 0.0


def test_nothing_is_dropped_in_evaluation():
    assert kept_shares(DropPathway(1.0, "pathway").eval(), EVERYONE).min() == 1.0


def test_the_draws_follow_from_torch_s_seed_alone():
    drop = DropPathway(0.5, per_sample=True).train()
    first = kept_shares(drop, EVERYONE, 5)
    random.seed(7)
    assert torch.equal(kept_shares(drop, EVERYONE, 5), first)
    torch.manual_seed(1)  # another rank
    other = torch.stack([torch.stack([keep.mask for keep in drop(EVERYONE)]) for _ in range(5)]).float()
    assert not torch.equal(other, first)


@pytest.mark.parametrize("arguments", [{"rate": 1.1}, {"rate": -0.1}, {"scope": "head"}, {"replacement": "noise"}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        DropPathway(**arguments)


def test_zeros_pass_no_gradient():
    sound = torch.ones(2, 3, requires_grad=True)
    passed = AudioGate(3)(sound, present(True, False))
    assert passed.tolist() == [[1.0] * 3, [0.0] * 3]
    passed.sum().backward()
    assert sound.grad.tolist() == [[1.0] * 3, [0.0] * 3]


def test_the_running_mean_stands_in_and_is_gathered_from_kept_clips():
    gate = AudioGate(1, "running_mean").train()
    for _ in range(100):
        gate(torch.tensor([[2.0], [4.0], [99.0]]), present(True, True, False))
        gate(torch.tensor([[99.0], [99.0]]), present(False, False))
    assert gate.running_mean.item() == pytest.approx(3.0, abs=1e-3)
    gate.eval()
    assert gate(torch.tensor([[5.0], [7.0]]), present(True, False)).flatten().tolist() == pytest.approx(
        [5, 3], abs=0.01
    )
    assert gate.absent(torch.zeros(2, 1, 4)).item() == pytest.approx(3.0, abs=1e-3)
    assert AudioGate(1).absent(torch.zeros(2, 1, 4)) is None
