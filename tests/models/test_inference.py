import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.models.architecture import AudioPathway
from avsf_det.models.inference import InferenceModel, fold_norms, round_filters
from avsf_det.models.norms import BatchNorm3d

PRESENT = torch.tensor([True, False, True])


def shaken(model):
    """A model whose norms all say something else, also of clips without sound."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.3, 0.9)
            torch.nn.init.normal_(module.bias, std=0.1)
            for name, buffer in module.named_buffers():
                if name.endswith("var"):
                    buffer.uniform_(0.5, 1.5)
                elif name.endswith("mean"):
                    buffer.normal_(std=0.1)
    return model


@torch.no_grad()
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.01)])
@pytest.mark.parametrize("sound", ["all", "none", "mixed"])
def test_scores_stay_what_they_are(make_model, clips, precision, tolerance, sound):
    model = shaken(make_model())
    audio, present = (None, None) if sound == "none" else (clips.audio, PRESENT if sound == "mixed" else None)
    inputs = (clips.slow, clips.fast, audio, clips.boxes, present)
    expected = model.scores(model(*inputs))
    fast = InferenceModel(model, precision)
    assert (fast.scores(fast(*inputs)) - expected).abs().max() <= tolerance
    assert torch.equal(model.scores(model(*inputs)), expected)  # the model itself is left as it is


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [{"sound": False}, {"depth": 50}, {"alpha": 2, "fast_junctions": ("res3",)}],
    ids=["SlowFast", "bottlenecks", "few junctions"],
)
def test_every_kind_of_model_can_be_folded(make_model, clips, changes):
    model = shaken(make_model(**changes))
    inputs = (clips.slow, clips.fast, clips.audio, clips.boxes)
    folded = copy.deepcopy(model)
    fold_norms(folded.backbone)
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in folded.modules())
    torch.testing.assert_close(folded(*inputs), model(*inputs), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["audio_to_fast_to_slow", "audiovisual_non_local", "channel_attention"])
def test_every_fusion_can_be_folded(make_model, clips, fusion):
    model = shaken(make_model(fusion=fusion))
    fast = InferenceModel(model)
    for audio in (clips.audio, None):
        inputs = (clips.slow, clips.fast, audio, clips.boxes)
        torch.testing.assert_close(fast(*inputs), model(*inputs), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_clips_with_and_without_sound_share_a_batch_where_only_the_head_hears(make_model, clips):
    model = shaken(make_model(audio=AudioPathway(depth=18, alpha=8, junctions=())))
    inputs = (clips.slow, clips.fast, clips.audio, clips.boxes, PRESENT)
    torch.testing.assert_close(InferenceModel(model)(*inputs), model(*inputs), rtol=1e-4, atol=1e-4)


def test_norms_behind_sound_are_those_that_know_two_states(make_model):
    by_sound = {name for name, module in make_model().named_modules() if getattr(module, "by_sound", False)}
    assert by_sound and all(("pathway0" in name and ".s4." in name) or ".s5." in name for name in by_sound)
    slow = {name for name, module in make_model().backbone.s4.named_modules() if isinstance(module, BatchNorm3d)}
    assert {f"backbone.s4.{name}" for name in slow if name.startswith("pathway0")} <= by_sound


def test_an_unknown_precision_is_refused(make_model):
    with pytest.raises(ValueError, match="precision: got 'int8', expected one of float32, bfloat16"):
        InferenceModel(make_model(), "int8")


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 300), st.sampled_from([1e-6, 0.02, 3.0]))
def test_errors_of_rounding_cancel_over_a_filter(seed, filters, size, scale):
    weight = scale * torch.randn(filters, size, generator=torch.Generator().manual_seed(seed))
    rounded = round_filters(weight)
    assert rounded.dtype == torch.bfloat16
    error = rounded.float() - weight
    assert (error.abs() <= 2**-7 * weight.abs() + 1e-30).all()  # never further than the neighbour on the other side
    nearest = (weight.bfloat16().float() - weight).sum(dim=1).abs()
    assert (error.sum(dim=1).abs() <= nearest + 1e-7 * scale).all()
    if size == 300:
        assert error.sum(dim=1).abs().max() <= 2**-8 * weight.abs().max()


def test_numbers_that_need_no_rounding_stay():
    weight = torch.tensor([[0.0, 1.0, -0.5, 2.0**-20], [0.0, 0.0, 0.0, 0.0]])
    assert torch.equal(round_filters(weight).float(), weight)
