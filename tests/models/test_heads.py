import pytest
import torch

from avsf_det.models.heads import ClassificationHead, RoIHead
from avsf_det.models.pathways import Pathways

CHANNELS = Pathways(slow=3, fast=2, audio=4)


def features(clips=2, size=8):
    torch.manual_seed(0)
    return Pathways(
        torch.rand(clips, 3, 4, size, size), torch.rand(clips, 2, 8, size, size), torch.rand(clips, 4, 1, 5, 6)
    )


def roi_head(channels=CHANNELS):
    torch.manual_seed(1)
    return RoIHead(channels, num_classes=5, spatial_scale=1 / 16).eval()


@torch.no_grad()
def test_a_box_sees_what_is_under_it():
    x = features(clips=1)
    x.slow.zero_(), x.fast.zero_()
    x.slow[..., 2:4, 2:4] = 1.0  # pixels 32..64
    seen = roi_head(CHANNELS)
    on, off, moved = seen(x, torch.tensor([[0, 32.0, 32, 64, 64], [0, 80, 80, 112, 112], [0, 96, 32, 128, 64]]))
    torch.testing.assert_close(off, moved)
    assert (on - off).abs().max() > 0.05


@torch.no_grad()
def test_shifting_the_picture_and_the_box_together_changes_nothing():
    head, x, box = roi_head(), features(clips=1), torch.tensor([[0, 32.0, 32, 80, 96]])
    shifted = Pathways(x.slow.roll(1, dims=-1), x.fast.roll(1, dims=-1), x.audio)
    torch.testing.assert_close(head(shifted, box + torch.tensor([0, 16.0, 0, 16, 0])), head(x, box))


@torch.no_grad()
def test_every_box_hears_its_own_clip():
    head, x = roi_head(), features()
    boxes = torch.tensor([[1, 0.0, 0, 60, 60], [0, 0, 0, 60, 60], [1, 30, 30, 90, 90]])
    before = head(x, boxes)
    x.audio[1] += 1.0
    assert ((head(x, boxes) - before).abs().amax(dim=1) > 1e-4).tolist() == [True, False, True]


@torch.no_grad()
def test_no_box_gives_no_scores():
    assert roi_head()(features(), torch.zeros(0, 5)).shape == (0, 5)


@torch.no_grad()
def test_without_an_audio_pathway_there_is_nothing_to_join():
    head = roi_head(Pathways(slow=3, fast=2, audio=None))
    assert head(features()._replace(audio=None), torch.tensor([[0, 0.0, 0, 60, 60]])).shape == (1, 5)


def test_boxes_keep_their_precision_in_bfloat16():
    head, x = roi_head(), features(clips=1, size=16)
    boxes = torch.tensor([[0, 201.0, 33, 247, 231]])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = head(Pathways(*(tensor.bfloat16() for tensor in x)), boxes)
        torch.testing.assert_close(low.float(), head(x, boxes).float(), atol=0.02, rtol=0.02)


def classification_head(**arguments):
    torch.manual_seed(1)
    return ClassificationHead(CHANNELS, num_classes=5, dropout=0.0, **arguments)


@torch.no_grad()
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_scores_of_a_larger_picture_are_the_mean_of_its_places_scores(activation):
    head, x = classification_head(pool_size=7, activation=activation).eval(), features(size=8)
    places = [
        head.activation(head(Pathways(x.slow[..., i : i + 7, j : j + 7], x.fast[..., i : i + 7, j : j + 7], x.audio)))
        for i in (0, 1)
        for j in (0, 1)
    ]
    torch.testing.assert_close(head.activation(head(x)), torch.stack(places).mean(dim=0))
    assert not torch.allclose(head(x), classification_head(pool_size=None, activation=activation).eval()(x))


@torch.no_grad()
def test_several_label_spaces_are_scored_at_once():
    torch.manual_seed(1)
    head = ClassificationHead(CHANNELS, {"verb": 4, "noun": 6}).eval()
    logits = head(features())
    assert {name: tuple(one.shape) for name, one in logits.items()} == {"verb": (2, 4), "noun": (2, 6)}
    assert {name for name, _ in head.named_parameters()} == {
        f"projection_{name}.{kind}" for name in ("verb", "noun") for kind in ("weight", "bias")
    }


def test_a_head_says_what_it_scores():
    box = torch.zeros(1, 5)
    with pytest.raises(ValueError, match="got boxes, but this head scores whole clips"):
        classification_head()(features(), box)
    with pytest.raises(ValueError, match="got no boxes, expected"):
        roi_head()(features(), None)
    with pytest.raises(ValueError, match=r"got boxes of shape \(1, 4\), expected"):
        roi_head()(features(), box[:, 1:])
    with pytest.raises(ValueError, match="activation: got 'tanh', expected one of softmax, sigmoid"):
        classification_head(activation="tanh")
