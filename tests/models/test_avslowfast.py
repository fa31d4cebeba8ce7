import copy

import torch
from torch import nn

from avsf_det.models.architecture import AudioPathway
from avsf_det.models.avslowfast import AVSlowFast, initialise
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.heads import ClassificationHead


@torch.no_grad()
def test_a_state_dict_carries_the_model_over(make_model, clips):
    source, target = make_model(), make_model()
    initialise(target)
    state = source.state_dict()
    assert not any(name.startswith("backbone.") for name in state)
    assert "s1.pathway0_stem.conv.weight" in state and "head.projection.bias" in state
    target.load_state_dict(state)
    expected = source(clips.slow, clips.fast, clips.audio, clips.boxes)
    assert torch.equal(target(clips.slow, clips.fast, clips.audio, clips.boxes), expected)
    assert torch.equal(copy.deepcopy(target)(clips.slow, clips.fast, clips.audio, clips.boxes), expected)


def test_a_wrapped_model_keeps_its_names(make_model):
    model = make_model()
    wrapped = nn.ModuleDict({"module": model})
    state = wrapped.state_dict()
    assert list(state) == [f"module.{name}" for name in model.state_dict()]
    wrapped.load_state_dict(state)


def test_weights_start_as_pyslowfast_s_do():
    torch.manual_seed(0)
    backbone = AVSlowFastBackbone(audio=AudioPathway())
    model = AVSlowFast(backbone, ClassificationHead(backbone.channels, 400))
    initialise(model)
    state = model.state_dict()
    scales = [state[name] for name in state if "bn" in name and name.endswith(".weight")]
    assert sum(1 for scale in scales if (scale == 0).all()) == 48
    assert all((scale == 0).all() or (scale == 1).all() for scale in scales)
    assert abs(state["head.projection.weight"].std().item() - 0.01) < 1e-3
    assert state["head.projection.bias"].abs().max() == 0.0
    conv = state["s5.pathway0_res1.branch2.b.weight"]
    assert abs(conv.std().item() / (2 / (conv.shape[0] * 9)) ** 0.5 - 1) < 0.01
