import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.classification.views import Stretch, uniform_crop


def test_views_go_evenly_over_a_stretch_as_in_pyslowfast():
    # 300 frames at 30 a second and clips of 64: begins are 236 * i / 10 frames
    begins = [(Stretch(0.0, 10.0, True).center(i / 10, 64 / 30) - 32 / 30) * 30 for i in range(10)]
    assert begins == pytest.approx([236 * i / 10 for i in range(10)])


def test_a_view_longer_than_its_stretch():
    assert Stretch(5.0, 6.0, False).center(0.7, 2.0) == 5.5  # has it in its middle
    assert Stretch(0.0, 1.0, True).center(0.7, 2.0) == 1.0  # begins with the video


@given(st.floats(0, 1000), st.floats(0.01, 100), st.floats(0.1, 10), st.floats(0, 1))
def test_views_lie_within_stretches_that_are_long_enough(start, length, duration, share):
    stretch = Stretch(start, start + length, False)
    center = stretch.center(share, duration)
    if length >= duration:
        assert start - 1e-6 <= center - duration / 2 and center + duration / 2 <= stretch.end + 1e-6
    else:
        assert center == pytest.approx(start + length / 2)


@pytest.mark.parametrize(("shape", "firsts"), [((4, 9), [(0, 0), (0, 3), (0, 5)]), ((9, 4), [(0, 0), (3, 0), (5, 0)])])
def test_crops_of_the_longer_side(shape, firsts):
    height, width = shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frames = torch.stack((rows, columns, rows), dim=2)[None]
    for place, first in enumerate(firsts):
        crop = uniform_crop(frames, 4, place)
        assert crop.shape == (1, 4, 4, 3) and tuple(crop[0, 0, 0, :2].tolist()) == first


def test_the_middle_is_cut_along_both_sides():
    assert uniform_crop(torch.zeros(2, 10, 8, 3), 4, 1).shape == (2, 4, 4, 3)
