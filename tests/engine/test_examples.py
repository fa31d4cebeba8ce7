import numpy as np
import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.data.batch import Collate, Sample
from avsf_det.data.clip import ClipSpec
from avsf_det.engine.examples import draw_batch
from avsf_det.visual.examples import RIGHT, WRONG
from avsf_det.visual.palette import person_colour

NAMES = ["stand", "clap"]
COLOURS = [(200, 40, 30), (30, 60, 180), (20, 160, 90)]


@pytest.fixture(scope="module")
def cfg():
    return load_cfg(overrides=["DATA.NUM_FRAMES", "8", "DATA.AUDIO_FRAME_NUM", "32", "DATA.AUDIO_MEL_NUM", "16"])


@pytest.fixture(scope="module")
def batch(cfg):
    """Three clips of one colour each; the second has nobody, the third no sound."""
    samples = [
        Sample(
            frames=torch.tensor(colour, dtype=torch.uint8).expand(8, 45, 80, 3),
            log_mel=None if clip == 2 else torch.randn(32, 16),
            boxes=torch.tensor([[0.25, 0.2, 0.75, 0.8]] * persons).reshape(-1, 4),
            labels=torch.tensor([[1.0, 0.0]] * persons).reshape(-1, 2),
        )
        for clip, (colour, persons) in enumerate(zip(COLOURS, (2, 0, 1)))
    ]
    return Collate.from_config(cfg, ClipSpec.from_config(cfg, 45))(samples)


def holds(picture, colour):
    return (picture == colour).all(axis=2)


def test_a_batch_is_shown_in_its_own_colours(batch, cfg):
    logits = torch.tensor([[4.0, -4.0], [4.0, -4.0], [4.0, -4.0]], requires_grad=True)
    picture = draw_batch(batch, logits, cfg, NAMES)
    assert [holds(picture, colour).sum() > 50_000 for colour in COLOURS] == [True, False, True]
    assert holds(picture[40:], RIGHT).any() and not holds(picture[40:], WRONG).any()


def test_boxes_lie_on_the_persons(batch, cfg):
    picture = draw_batch(batch, torch.zeros(3, 2), cfg, NAMES, count=1)
    rows, columns = np.nonzero(holds(picture, person_colour(1))[:, :780])
    width, height = 256, 144
    left, top = 12 + 256 + 6, picture.shape[0] - 12 - 16 - 44 - 6 - height
    assert (columns.min() - left, columns.max() + 1 - left) == (width // 4, width * 3 // 4)
    assert rows.max() + 1 - top == round(0.8 * height) and holds(picture[40:], WRONG).any()


def test_no_more_clips_than_asked_for_and_none_without_persons(batch, cfg):
    one, two = (draw_batch(batch, torch.zeros(3, 2), cfg, NAMES, count=count) for count in (1, 4))
    assert len(two) > len(one) > 150
    empty = Collate.from_config(cfg, ClipSpec.from_config(cfg, 45))
    nobody = Sample(torch.zeros(8, 45, 80, 3, dtype=torch.uint8), None, torch.zeros(0, 4), torch.zeros(0, 2))
    assert len(draw_batch(empty([nobody]), torch.zeros(0, 2), cfg, NAMES)) < 40
