import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.batch import Sample
from avsf_det.data.spec_augment import SpecAugment


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 50),
)
def test_masks_are_whole_rows_and_columns_no_wider_than_allowed(seed, frames, bins, times, frequencies, widest):
    sound = torch.ones(frames, bins)
    out = SpecAugment((frequencies, widest), (times, widest)).masked(sound, generator(seed))
    rows, columns = (out == 0).all(dim=1), (out == 0).all(dim=0)
    assert torch.equal(out, torch.ones(frames, bins) * ~rows[:, None] * ~columns) and (sound == 1).all()
    if not rows.all() and not columns.all():
        assert rows.sum() <= times * widest and columns.sum() <= frequencies * widest


def test_any_place_and_width_is_drawn():
    masks = SpecAugment((0, 1), (1, 5))
    out = torch.stack([masks.masked(torch.ones(20, 4), generator(seed))[:, 0] == 0 for seed in range(500)])
    assert out.any(dim=0).all() and sorted(out.sum(dim=1).unique().tolist()) == [0, 1, 2, 3, 4, 5]


def test_a_negative_is_masked_too_and_silence_stays_none():
    masks = SpecAugment((1, 4), (1, 4))
    sample = Sample(torch.zeros(1, 2, 2, 3), torch.ones(30, 8), torch.zeros(0, 4), torch.zeros(0, 1), torch.ones(30, 8))
    outs = [masks(sample, generator(seed)) for seed in range(20)]
    assert any((out.log_mel == 0).any() for out in outs) and any((out.misaligned == 0).any() for out in outs)
    assert any(not torch.equal(out.log_mel, out.misaligned) for out in outs)
    silent = masks(Sample(torch.zeros(1, 2, 2, 3), None, torch.zeros(0, 4), torch.zeros(0, 1)), generator(3))
    assert silent.log_mel is None and silent.misaligned is None
