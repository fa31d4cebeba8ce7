import pytest
import torch

from avsf_det.models.drop_pathway import DropPathway


def kept_shares(drop, present, draws=1000):
    torch.manual_seed(0)
    masks = [torch.stack(drop(present)) for _ in range(draws)]
    return torch.stack(masks).float()


def test_one_draw_a_batch_drops_all_or_none():
    masks = kept_shares(DropPathway(0.8).train(), torch.ones(4, dtype=torch.bool))
    laterals, head = masks.unbind(dim=1)
    assert set(laterals.mean(dim=1).tolist()) == {0.0, 1.0}
    assert laterals.mean() == pytest.approx(0.2, abs=0.04)
    assert head.min() == 1.0


def test_one_draw_a_clip_drops_each_for_itself():
    masks = kept_shares(DropPathway(0.8, per_sample=True).train(), torch.ones(4, dtype=torch.bool))
    laterals = masks[:, 0]
    assert laterals.mean(dim=0).tolist() == pytest.approx([0.2] * 4, abs=0.05)
    assert len(set(laterals.mean(dim=1).tolist())) > 2


def test_the_pathway_scope_drops_the_head_with_the_laterals():
    laterals, head = kept_shares(DropPathway(0.5, "pathway").train(), torch.ones(4, dtype=torch.bool)).unbind(dim=1)
    assert torch.equal(laterals, head) and 0.0 < head.mean() < 1.0


def test_a_clip_without_sound_never_gets_some():
    present = torch.tensor([True, False])
    assert kept_shares(DropPathway(0.0).train(), present).mean(dim=(0, 1)).tolist() == [1.0, 0.0]
    assert kept_shares(DropPathway(0.5, per_sample=True).train(), present)[..., 1].max() == 0.0


def test_nothing_is_dropped_in_evaluation():
    assert kept_shares(DropPathway(1.0, "pathway").eval(), torch.ones(4, dtype=torch.bool)).min() == 1.0


def test_a_seed_repeats_the_draws():
    drop, present = DropPathway(0.5, per_sample=True).train(), torch.ones(8, dtype=torch.bool)
    assert torch.equal(kept_shares(drop, present, 5), kept_shares(drop, present, 5))


@pytest.mark.parametrize("arguments", [{"rate": 1.1}, {"rate": -0.1}, {"scope": "head"}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        DropPathway(**arguments)
