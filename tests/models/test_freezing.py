import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.errors import UserError
from avsf_det.models.build import build_model, example_inputs
from avsf_det.models.freezing import thaw


def model_of(tiny, freeze_at):
    return load_cfg(None, [*tiny, "MODEL.FREEZE_AT", str(freeze_at)])


def states_before_and_after_a_step(cfg):
    torch.manual_seed(0)
    model = build_model(cfg).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model(**example_inputs(cfg, clips=2, boxes=2)).square().sum().backward()
    optimizer.step()
    return before, model.state_dict()


def test_frozen_stages_stay_to_the_bit_and_all_others_learn(tiny):
    before, after = states_before_and_after_a_step(model_of(tiny, 3))
    same = {name for name in before if torch.equal(before[name], after[name])}
    stages = {f"{stage}.{pathway}" for stage in ("s1", "s2", "s3") for pathway in ("pathway0", "pathway1")}
    frozen = {name for name in before if name.startswith(tuple(stages))}
    frozen |= {name for name in before if name.startswith(("s1_fuse", "s2_fuse"))}
    assert frozen and frozen <= same, frozen - same
    moved = before.keys() - same
    assert {name.split("_")[0].split(".")[0] for name in moved} >= {"s1", "s2", "s3", "s4", "s5", "head"}
    assert all(".pathway2" in name for name in moved if name.startswith(("s1.", "s2.", "s3."))), "Audio learns"
    assert any(name.startswith("s3_fuse.bn_f2s.running_mean") for name in moved)


def test_without_frozen_stages_all_learns(tiny):
    before, after = states_before_and_after_a_step(model_of(tiny, 0))
    assert not torch.equal(before["s1.pathway0_stem.bn.running_mean"], after["s1.pathway0_stem.bn.running_mean"])
    assert not torch.equal(before["s1.pathway1_stem.conv.weight"], after["s1.pathway1_stem.conv.weight"])


@pytest.mark.parametrize("count", [-1, 6])
def test_there_are_five_stages(tiny, count):
    with pytest.raises(UserError, match=f"MODEL.FREEZE_AT: got {count}, expected 0 to 5 stages"):
        build_model(model_of(tiny, count))


def test_thaw_lets_stages_learn_that_were_not_loaded(tiny, caplog):
    """Weights of an image model have no Fast pathway."""
    model = build_model(model_of(tiny, 2))
    missing = [name for name in model.state_dict() if "pathway1" in name or "f2s" in name]
    thawed = thaw(model, missing)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen and all("pathway0" in name for name in frozen)
    assert all(
        module.frozen == ("pathway0" in name) for name, module in model.backbone.s2.named_modules() if "bn" in name
    )
    assert {"s1.pathway1_stem.conv.weight", "s1.pathway1_stem.bn.running_mean"} <= set(thawed) <= set(missing)
    assert "parameters of frozen stages were not loaded and learn" in caplog.text


def test_thaw_with_everything_loaded_changes_nothing(tiny, caplog):
    model = build_model(model_of(tiny, 2))
    before = [p.requires_grad for p in model.parameters()]
    assert thaw(model, []) == [] and before == [p.requires_grad for p in model.parameters()] and not caplog.text
