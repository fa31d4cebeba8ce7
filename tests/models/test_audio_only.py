import torch

from avsf_det.config import load_cfg
from avsf_det.models.build import build_model, example_inputs


def make(*overrides):
    cfg = load_cfg("scenes/avslowfast_small", ["MODEL.MODEL_NAME", "Audio", *overrides])
    return build_model(cfg), example_inputs(cfg, size=64, clips=3, boxes=3)


def test_it_hears_and_does_not_see():
    model, inputs = make()
    model.eval()
    logits = model(**inputs)
    assert torch.equal(model(**{**inputs, "fast": torch.randn_like(inputs["fast"])}), logits)
    assert not torch.equal(model(**{**inputs, "audio": torch.randn_like(inputs["audio"])}), logits)


def test_a_clip_without_sound_gets_what_is_known_without_hearing():
    model, inputs = make("DETECTION.ENABLE", "False")
    silent = model.eval()(**inputs, audio_present=torch.tensor([True, False, True]))
    assert torch.equal(silent[1], model.head.projection.bias)
    assert torch.equal(model(**{**inputs, "audio": None})[0], silent[1])
    assert torch.equal(silent[0], model(**inputs)[0])


def test_silent_clips_do_not_move_the_norms_and_a_batch_of_them_still_gives_gradients():
    model, inputs = make()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()(**inputs, audio_present=torch.zeros(3, dtype=torch.bool)).sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers() if "tracked" not in name)
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_its_weights_are_those_of_an_avslowfast():
    own = make()[0].state_dict()
    whole = build_model(load_cfg("scenes/avslowfast_small")).state_dict()
    assert all(own[name].shape == whole[name].shape for name in own if not name.startswith("head."))
