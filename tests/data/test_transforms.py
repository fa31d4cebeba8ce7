import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.data.transforms import TrainTransform

RED = torch.tensor((255, 0, 0), dtype=torch.uint8)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def red_extent(frame):
    """x1 y1 x2 y2 of the red pixels in 0..1, or None."""
    rows, columns = torch.where((frame[..., 0].int() - frame[..., 1].int()) > 127)
    if not len(rows):
        return None
    height, width = frame.shape[:2]
    return [columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(20, 60),
    st.integers(20, 60),
    st.tuples(st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0.15, 0.3), st.floats(0.15, 0.3)),
    st.sampled_from([0, 24, 40]),
    st.sampled_from([(20, 64), (32, 32)]),
)
def test_boxes_stay_on_what_they_mark(seed, height, width, place, crop, scales):
    x, y, w, h = place
    x1, y1, x2, y2 = round(x * width), round(y * height), round((x + w) * width), round((y + h) * height)
    frames = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    frames[:, y1:y2, x1:x2] = RED
    box = torch.tensor([[x1 / width, y1 / height, x2 / width, y2 / height]])
    out, boxes, kept = TrainTransform(scales, crop)(frames, box, generator(seed))
    extent = red_extent(out[1])
    assert len(boxes) == kept.sum()
    if kept[0]:
        pixel = 1.6 / min(out.shape[1:3])
        assert extent is not None
        np.testing.assert_allclose(boxes[0], extent, atol=pixel)
    elif extent is not None:  # what is left of a box that went is at most a quarter, in a corner, or half, at an edge
        assert min(extent[0], extent[1], 1 - extent[2], 1 - extent[3]) < 0.1


def test_sizes_are_those_asked_for():
    frames, boxes = torch.zeros(3, 48, 64, 3, dtype=torch.uint8), torch.zeros(0, 4)
    whole, _, _ = TrainTransform((24, 24))(frames, boxes, generator())
    assert whole.shape == (3, 24, 32, 3) and whole.dtype == torch.uint8
    cropped, _, _ = TrainTransform((32, 40), 28)(frames, boxes, generator())
    assert cropped.shape == (3, 28, 28, 3)
    small, _, _ = TrainTransform((24, 24), 100)(frames, boxes, generator())
    assert small.shape == (3, 24, 24, 3)


def test_half_of_the_clips_are_mirrored():
    frames, boxes = torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.tensor([[0.0, 0.0, 0.25, 1.0]])
    frames[:, :, :2] = 255
    sides = [TrainTransform((8, 8))(frames, boxes, generator(seed))[1][0, 0].item() for seed in range(200)]
    assert set(sides) == {0.0, 0.75} and 70 < sides.count(0.75) < 130
    assert TrainTransform((8, 8), flip=False)(frames, boxes, generator(3))[1].tolist() == boxes.tolist()


@pytest.mark.parametrize("jitter", [0.1, 0.4])
def test_colours_change_by_at_most_what_is_allowed_and_all_frames_alike(jitter):
    frames = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(2, 1, 1, 3)
    boxes, changed = torch.zeros(0, 4), False
    for seed in range(20):
        out, _, _ = TrainTransform((16, 16), flip=False, colour_jitter=jitter)(frames, boxes, generator(seed))
        difference = (out.int() - frames.int()).abs()
        assert difference.max() <= 255 * jitter + 1
        assert torch.equal(out[0], out[1])
        assert (out[0].reshape(-1, 3)[1:].int() >= out[0].reshape(-1, 3)[:-1].int()).all()
        changed |= bool(difference.max() > 10)
    assert changed


def test_box_noise_moves_each_edge_by_at_most_its_share():
    frames, boxes = torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.tensor([[0.2, 0.3, 0.6, 0.9]])
    transform = TrainTransform((8, 8), flip=False, box_jitter=0.1)
    moved = torch.cat([transform(frames, boxes, generator(seed))[1] - boxes for seed in range(100)]).abs()
    assert (moved.max(dim=0).values <= torch.tensor([0.04, 0.06, 0.04, 0.06]) + 1e-6).all()
    assert (moved.max(dim=0).values > torch.tensor([0.03, 0.04, 0.03, 0.04])).all()


def test_persons_outside_the_crop_are_dropped_and_told():
    frames = torch.zeros(1, 20, 200, 3, dtype=torch.uint8)
    boxes = torch.tensor([[i / 10 + 0.01, 0.1, i / 10 + 0.09, 0.9] for i in range(10)])
    _, left, kept = TrainTransform((20, 20), 20, flip=False)(frames, boxes, generator())
    assert 1 <= kept.sum() <= 2 and len(left) == kept.sum()
    assert ((left >= 0) & (left <= 1)).all()
