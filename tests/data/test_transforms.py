import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.config import load_cfg
from avsf_det.data.batch import Sample
from avsf_det.data.clip import ClipSpec, read_clips
from avsf_det.data.colour import ColourAugmentation
from avsf_det.data.mirror import mirrored_classes
from avsf_det.data.spec_augment import SpecAugment
from avsf_det.data.transforms import TrainTransform
from avsf_det.media.writer import VideoWriter

COLOUR = ColourAugmentation(
    (0.225, 0.224, 0.229), ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
)
RED = torch.tensor((255, 0, 0), dtype=torch.uint8)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def transform(transform, frames, boxes, seed=0):
    """(frames, boxes, the numbers of the boxes kept) of a clip."""
    labels = torch.arange(len(boxes)).float()[:, None]
    out = transform(Sample(frames, None, boxes, labels), generator(seed))
    assert len(out.boxes) == len(out.labels)
    return out.frames, out.boxes, out.labels[:, 0].long().tolist()


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
    st.booleans(),
)
def test_boxes_stay_on_what_they_mark(seed, height, width, place, crop, scales, inverse):
    x, y, w, h = place
    x1, y1, x2, y2 = round(x * width), round(y * height), round((x + w) * width), round((y + h) * height)
    frames = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    frames[:, y1:y2, x1:x2] = RED
    box = torch.tensor([[x1 / width, y1 / height, x2 / width, y2 / height]])
    out, boxes, kept = transform(TrainTransform(scales, crop, inverse_uniform=inverse), frames, box, seed)
    extent = red_extent(out[1])
    if kept:
        pixel = 1.6 / min(out.shape[1:3])
        assert extent is not None
        np.testing.assert_allclose(boxes[0], extent, atol=pixel)
    elif extent is not None:  # what is left of a box that went is at most a quarter, in a corner, or half, at an edge
        assert min(extent[0], extent[1], 1 - extent[2], 1 - extent[3]) < 0.1


def test_sizes_are_those_asked_for():
    frames, boxes = torch.zeros(3, 48, 64, 3, dtype=torch.uint8), torch.zeros(0, 4)
    whole, _, _ = transform(TrainTransform((24, 24)), frames, boxes)
    assert whole.shape == (3, 24, 32, 3) and whole.dtype == torch.uint8
    cropped, _, _ = transform(TrainTransform((32, 40), 28), frames, boxes)
    assert cropped.shape == (3, 28, 28, 3)
    small, _, _ = transform(TrainTransform((24, 24), 100), frames, boxes)
    assert small.shape == (3, 24, 24, 3)


def test_half_of_the_clips_are_mirrored():
    frames, boxes = torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.tensor([[0.0, 0.0, 0.25, 1.0]])
    frames[:, :, :2] = 255
    sides = [transform(TrainTransform((8, 8)), frames, boxes, seed)[1][0, 0].item() for seed in range(200)]
    assert set(sides) == {0.0, 0.75} and 70 < sides.count(0.75) < 130
    assert transform(TrainTransform((8, 8), flip=False), frames, boxes, 3)[1].tolist() == boxes.tolist()


@pytest.mark.parametrize("jitter", [0.1, 0.4])
def test_colours_change_by_at_most_what_is_allowed_and_all_frames_alike(jitter):
    frames = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(2, 1, 1, 3)
    boxes, changed = torch.zeros(0, 4), False
    for seed in range(20):
        out, _, _ = transform(TrainTransform((16, 16), flip=False, colour_jitter=jitter), frames, boxes, seed)
        difference = (out.int() - frames.int()).abs()
        assert difference.max() <= 255 * jitter + 1
        assert torch.equal(out[0], out[1])
        assert (out[0].reshape(-1, 3)[1:].int() >= out[0].reshape(-1, 3)[:-1].int()).all()
        changed |= bool(difference.max() > 10)
    assert changed


def test_box_noise_moves_each_edge_by_at_most_its_share():
    frames, boxes = torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.tensor([[0.2, 0.3, 0.6, 0.9]])
    noisy = TrainTransform((8, 8), flip=False, box_jitter=0.1)
    moved = torch.cat([transform(noisy, frames, boxes, seed)[1] - boxes for seed in range(100)]).abs()
    assert (moved.max(dim=0).values <= torch.tensor([0.04, 0.06, 0.04, 0.06]) + 1e-6).all()
    assert (moved.max(dim=0).values > torch.tensor([0.03, 0.04, 0.03, 0.04])).all()


def test_persons_outside_the_crop_are_dropped_and_told():
    frames = torch.zeros(1, 20, 200, 3, dtype=torch.uint8)
    boxes = torch.tensor([[i / 10 + 0.01, 0.1, i / 10 + 0.09, 0.9] for i in range(10)])
    _, left, kept = transform(TrainTransform((20, 20), 20, flip=False), frames, boxes)
    assert 1 <= len(kept) <= 2 and ((left >= 0) & (left <= 1)).all()


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (51, 50)], ids=str)
@pytest.mark.parametrize("short_side", [30, 50, 70])
def test_a_crop_scaled_is_the_crop_of_the_picture_scaled_within_a_pixel(size, short_side):
    rows, columns = torch.meshgrid(*(torch.arange(n) * 255 // n for n in size), indexing="ij")
    frames = torch.stack((rows, columns, rows), dim=-1)[None].to(torch.uint8)  # a place's colour says where it is
    whole, _, _ = transform(TrainTransform((short_side, short_side), flip=False), frames, torch.zeros(0, 4))
    scaled = whole[0].int()
    pixel = 2 * 255 / short_side
    for seed in range(5):
        part, _, _ = transform(
            TrainTransform((short_side, short_side), 24, flip=False), frames, torch.zeros(0, 4), seed
        )
        part = part[0].int()
        top = (scaled[:, 0, 0] - part[0, 0, 0]).abs().argmin().item()
        left = (scaled[0, :, 1] - part[0, 0, 1]).abs().argmin().item()
        same = scaled[top : top + 24, left : left + 24]
        assert (same - part[: same.shape[0], : same.shape[1]]).abs().max() <= pixel and min(same.shape[:2]) >= 23


def test_the_short_side_is_drawn_uniformly_or_its_inverse_is():
    frames = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    for inverse, middle in ((False, 48), (True, 2 / (1 / 32 + 1 / 64))):
        draw = TrainTransform((32, 64), inverse_uniform=inverse)
        sizes = [transform(draw, frames, torch.zeros(0, 4), seed)[0].shape[1] for seed in range(400)]
        assert 32 <= min(sizes) < 34 and 62 < max(sizes) <= 64
        assert np.median(sizes) == pytest.approx(middle, abs=2)


def test_left_and_right_change_places_in_a_mirror():
    names = ("wave (left hand)", "stand", "Turn Right", "wave (right hand)", "Turn Left", "bright", "all right")
    assert mirrored_classes(names) == (3, 1, 4, 0, 2, 5, 6)
    frames, boxes = torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.tensor([[0.0, 0.0, 0.25, 1.0]])
    sample = Sample(frames, None, boxes, torch.tensor([[1.0, 1.0, 0.0]]))
    mirror = TrainTransform((8, 8), mirrored_classes=mirrored_classes(("left", "stand", "right")))
    seen = {
        (out.boxes[0, 0].item(), *out.labels[0].tolist())
        for seed in range(30)
        for out in [mirror(sample, generator(seed))]
    }
    assert seen == {(0.0, 1.0, 1.0, 0.0), (0.75, 0.0, 1.0, 1.0)}


def test_a_flash_and_a_click_of_the_same_second_stay_together(tmp_path):
    rate, second = 25, 1.2
    t = np.arange(3 * 16000) / 16000
    click = (0.9 * np.sin(2 * np.pi * 1000 * t) * (np.abs(t - second) < 0.02)).astype(np.float32)
    with VideoWriter(tmp_path / "flash.mp4", 64, 48, rate, sound=(click, 16000)) as writer:
        for n in range(3 * rate):
            writer.write(np.full((48, 64, 3), 200 * (n == round(second * rate)), np.uint8), n / rate)
    spec = ClipSpec(num_frames=20, sampling_rate=1, target_fps=rate, short_side=48)
    for seed, center in enumerate((1.0, 1.2, 1.45, 1.0, 1.2)):
        (clip,) = read_clips(tmp_path / "flash.mp4", [center], spec)
        sample = Sample(
            torch.from_numpy(clip.frames), torch.from_numpy(clip.log_mel), torch.zeros(0, 4), torch.zeros(0, 1)
        )
        everything = TrainTransform(
            (40, 48), 32, colour_jitter=0.2, box_jitter=0.1, colour=COLOUR, spec_augment=SpecAugment((2, 20), (1, 2))
        )
        out = everything(sample, generator(seed))
        seen = spec.frame_times(center)[out.frames.float().mean(dim=(1, 2, 3)).argmax()]
        times = spec.log_mel().times(spec.log_mel().span(center, spec.audio_frames)[0], spec.audio_frames)
        heard = times[out.log_mel.amax(dim=1).argmax()]
        assert seen == pytest.approx(second, abs=0.021) and heard == pytest.approx(second, abs=0.06)


def test_the_configuration_says_what_is_done():
    cfg = load_cfg(None, ["DATA.INV_UNIFORM_SAMPLING", "True", "DATA.SPEC_TIME_MASKS", "[2, 10]"])
    made = TrainTransform.from_config(cfg, ["left", "right"])
    assert (made.jitter_scales, made.crop_size, made.inverse_uniform, made.mirrored_classes) == (
        (256, 320),
        224,
        True,
        (1, 0),
    )
    assert made.colour is None and made.spec_augment == SpecAugment((0, 27), (2, 10))
    plain = TrainTransform.from_config(load_cfg(None, ["AVA.TRAIN_USE_COLOR_AUGMENTATION", "True"]))
    assert plain.spec_augment is None and plain.colour == COLOUR
