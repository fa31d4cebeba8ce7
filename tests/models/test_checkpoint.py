import os
import pickle
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from avsf_det.config import load_cfg
from avsf_det.errors import UserError
from avsf_det.models.architecture import JUNCTIONS
from avsf_det.models.avslowfast import AVSlowFast
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_checkpoint, load_own_weights, load_weights, save_checkpoint
from avsf_det.models.fusion import AUDIO_FUSIONS


def one_line(caught):
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_saved_is_what_is_loaded(tmp_path, make_model):
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    saved = {
        "epoch": 3,
        "model_state": model.state_dict(),
        "optimizer_state": optimizer.state_dict(),
        "cfg": "MODEL:\n  NUM_CLASSES: 5\n",
        "label_map": 'item {\n  name: "talk to"\n  id: 1\n}\n',
    }
    save_checkpoint(tmp_path / "new" / "checkpoint.pyth", saved)
    loaded = load_checkpoint(tmp_path / "new" / "checkpoint.pyth")
    assert {key: loaded[key] for key in ("epoch", "cfg", "label_map")} == {
        key: saved[key] for key in ("epoch", "cfg", "label_map")
    }
    torch.testing.assert_close(dict(loaded["model_state"]), dict(saved["model_state"]), rtol=0, atol=0)
    optimizer.load_state_dict(loaded["optimizer_state"])
    assert os.listdir(tmp_path / "new") == ["checkpoint.pyth"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pyth"
    save_checkpoint(path, {"model_state": {}, "epoch": 1})

    def full(content, file):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left on device"):
        save_checkpoint(path, {"model_state": {}, "epoch": 2})
    assert os.listdir(tmp_path) == ["checkpoint.pyth"] and load_checkpoint(path)["epoch"] == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as caught:
        save_checkpoint(tmp_path / "file" / "checkpoint.pyth", {"model_state": {}})
    one_line(caught)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="No such file or directory") as caught:
        load_checkpoint(tmp_path / "none.pyth")
    one_line(caught)


class Touch:
    """Pickles to a call that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path, write):
    path = tmp_path / "evil.pyth"
    write({"model_state": {}, "label_map": Touch(tmp_path / "ran")}, path)
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    one_line(caught)
    assert not (tmp_path / "ran").exists()
    if write is torch.save:
        assert "could run code" in str(caught.value)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode), st.integers(0, 600)))
def test_other_files_are_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("files") / "other.pyth"
    if isinstance(content, int):  # a checkpoint cut short
        save_checkpoint(path, {"model_state": {"a": torch.zeros(4)}})
        content = path.read_bytes()[:content]
    path.write_bytes(content)
    with pytest.raises(UserError, match="expected a checkpoint") as caught:
        load_checkpoint(path)
    one_line(caught)


@pytest.mark.parametrize("content", [[1, 2], {"weights": {}}, {"model_state": 3}, {"model_state": {"a": 1}}])
def test_a_torch_file_without_a_model_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pyth")
    with pytest.raises(UserError, match="has no model_state"):
        load_checkpoint(tmp_path / "other.pyth")


def test_slowfast_weights_start_an_audiovisual_model(make_model):
    visual, audiovisual = make_model(sound=False), make_model()
    state = {name.replace("bn_f2s", "bn"): tensor + 1 for name, tensor in visual.state_dict().items()}
    before = audiovisual.state_dict()["head.projection.weight"].clone()
    report = load_weights(audiovisual, state)
    own = audiovisual.state_dict()
    assert torch.equal(own["s2_fuse.bn_f2s.weight"], state["s2_fuse.bn.weight"])
    assert torch.equal(own["s5.pathway0_res0.branch2.a.weight"], state["s5.pathway0_res0.branch2.a.weight"])
    assert report.initialised and all("pathway2" in name or "a2fs" in name for name in report.initialised)
    seen = state["head.projection.weight"].shape[1]
    assert torch.equal(own["head.projection.weight"][:, :seen], state["head.projection.weight"])
    assert torch.equal(own["head.projection.weight"][:, seen:], before[:, seen:])
    assert report.mismatched == () and report.unused == ()
    assert report.partly == ("head.projection.weight",)
    assert set(report.loaded) | set(report.partly) | set(report.initialised) == set(own)
    assert str(report).startswith(f"{len(report.loaded)} tensors loaded, ")


def test_audiovisual_weights_serve_a_model_without_sound(make_model):
    report = load_weights(make_model(sound=False), make_model().state_dict())
    assert not report.initialised and all("pathway2" in name or "a2fs" in name for name in report.unused)


def test_a_model_without_sound_takes_the_statistics_of_clips_without(make_model):
    state = make_model().state_dict()
    name = "s5.pathway0_res0.branch2.a_bn.running_mean"
    state[name.replace("running", "silent_running")] = state[name] + 1
    visual = make_model(sound=False)
    load_weights(visual, state)
    assert torch.equal(visual.state_dict()[name], state[name] + 1)


@pytest.mark.parametrize(
    ("changes", "likely"),
    [
        ({"depth": 34}, "RESNET.DEPTH"),
        ({"depth": 50}, "RESNET.DEPTH"),
        ({"width": 12}, "RESNET.WIDTH_PER_GROUP"),
        ({"beta_inv": 4}, "SLOWFAST.BETA_INV"),
    ],
)
def test_weights_of_another_architecture_are_refused(make_model, changes, likely):
    model, other = make_model(), make_model(**changes)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=likely) as caught:
        load_weights(model, other.state_dict())
    one_line(caught)
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


def test_weights_of_something_else_are_refused(make_model):
    with pytest.raises(UserError, match="no name is the same"):
        load_weights(make_model(), {"layer1.0.conv1.weight": torch.zeros(1)})


def test_released_audiovisual_weights_start_a_model_with_every_junction(make_model):
    """Fast→Slow's channels of the first two junctions are new: they stay, what Slow itself brings is taken."""
    released, full = make_model(fast_junctions=("res3", "res4")), make_model(fast_junctions=JUNCTIONS)
    before = {name: tensor.clone() for name, tensor in full.state_dict().items()}
    report = load_weights(full, released.state_dict())
    widened = [f"s{k}.pathway0_res0.{layer}.weight" for k in (2, 3) for layer in ("branch1", "branch2.a")]
    assert sorted(report.partly) == sorted(widened)
    assert all(name.startswith(("s1_fuse", "s2_fuse", "s2.pathway0_res0.branch1")) for name in report.initialised)
    own, theirs = full.state_dict(), released.state_dict()
    for name in set(widened) & theirs.keys():
        columns = theirs[name].shape[1]
        assert torch.equal(own[name][:, :columns], theirs[name])
        assert torch.equal(own[name][:, columns:], before[name][:, columns:])
    assert "Fast→Slow is after res3, res4 in the weights, after pool1, res2, res3, res4 in the model" in str(report)


def test_weights_with_every_junction_do_not_fit_the_released_model_whole(make_model):
    report = load_weights(make_model(fast_junctions=("res3", "res4")), make_model().state_dict())
    assert "s3.pathway0_res0.branch2.a.weight" in report.misfits
    assert all(re.match(r"s[23]\.pathway0_res0\.(branch1|branch2\.a)\.weight", name) for name in report.misfits)
    assert "SLOWFAST.FS_FUSION, FUSION_KERNEL_SZ or FUSION_CONV_CHANNEL_RATIO probably differs" in str(report)


def test_other_classes_leave_the_last_layer_as_it_was_and_are_told(make_model):
    model, other = make_model(), make_model()
    other.head.projection = torch.nn.Linear(other.head.projection.in_features, 9)
    before = model.state_dict()["head.projection.weight"].clone()
    report = load_weights(model, other.state_dict())
    assert report.mismatched == ("head.projection.weight", "head.projection.bias")
    assert "9 classes in the weights, 5 in the model: head.projection starts as initialised" in str(report)
    assert torch.equal(model.state_dict()["head.projection.weight"], before)
    visual = make_model(sound=False)
    visual.head.projection = torch.nn.Linear(visual.head.projection.in_features, 9)
    assert "head.projection.weight" in load_weights(model, visual.state_dict()).mismatched


def test_a_slow_model_alone_starts_slow(make_model):
    model, other = make_model(beta_inv=4), make_model(beta_inv=4, sound=False, fast_junctions=())
    state = {name: tensor + 1 for name, tensor in other.state_dict().items() if "pathway0" in name}
    report = load_weights(model, state)
    assert {name for name in state if name not in report.loaded} == set(report.partly) & state.keys()
    assert "no Fast in the weights" in str(report) and "no Audio in the weights" in str(report)
    assert not report.unused and not report.mismatched


def test_caffe2_shapes_fit(make_model):
    """PySlowFast appends dimensions of one to blobs that have fewer; some files have more."""
    model, other = make_model(sound=False), make_model(sound=False)
    state = {name: tensor + 1 for name, tensor in other.state_dict().items()}
    state["s2.pathway0_res0.branch1.weight"] = state["s2.pathway0_res0.branch1.weight"][..., 0, 0, 0]
    state["head.projection.weight"] = state["head.projection.weight"][..., None, None, None]
    state["s1.pathway0_stem.bn.weight"] = state["s1.pathway0_stem.bn.weight"][:, None, None, None]
    report = load_weights(model, state)
    assert report.differing == ()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor.flatten(), state[name].flatten())


def test_counters_of_batches_are_no_weights(make_model):
    state = {name: tensor for name, tensor in make_model().state_dict().items() if "num_batches" not in name}
    assert load_weights(make_model(), state).differing == ()


def test_non_local_blocks_on_one_side_only_are_no_other_architecture(make_model):
    model = make_model(sound=False)
    shapes = {
        f"conv_{conv}.{leaf}": torch.zeros(2) for conv in ("theta", "phi", "g", "out") for leaf in ("weight", "bias")
    }
    blocks = {f"s{k}.pathway0_nonlocal{i}.{name}": x for k in (3, 4) for i in range(5) for name, x in shapes.items()}
    report = load_weights(model, model.state_dict() | blocks)
    assert set(report.unused) == blocks.keys() and "no non-local in the model" in str(report)


@pytest.mark.parametrize("fusion", AUDIO_FUSIONS)
def test_a_model_loads_its_own_weights_whole_however_sound_joins(fusion):
    cfg = load_cfg("scenes/avslowfast_small", ["SLOWFAST.AU_FUSION", fusion])
    torch.manual_seed(1)
    state = build_model(cfg).state_dict()
    model = build_model(cfg)
    assert not load_weights(model, state).differing
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


class OtherBackbone(nn.Module):
    """A backbone none of whose names is ours."""

    def __init__(self, channels):
        super().__init__()
        self.patch = nn.Conv3d(3, channels, 2)
        self.norm = nn.BatchNorm3d(channels)


def other_model(channels=4, classes=3, seed=0):
    torch.manual_seed(seed)
    return AVSlowFast(OtherBackbone(channels), nn.Linear(channels, classes))


def test_load_own_weights_of_a_backbone_with_other_names_loads_all(tmp_path):
    source, model = other_model(seed=1), other_model()
    load_own_weights(model, source.state_dict(), tmp_path)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in source.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("patch.bias"), "patch.bias is not in it"),
        (lambda state: state.update({"more.weight": torch.zeros(1)}), "more.weight is not in the model"),
        (lambda state: state.update({"norm.weight": torch.zeros(5)}), "norm.weight is 5 there, 4 in the model"),
    ],
)
def test_load_own_weights_that_differ_raises_and_names_the_tensor(tmp_path, change, message):
    state = dict(other_model(seed=1).state_dict())
    change(state)
    model = other_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match="weights of another model than the configured one") as caught:
        load_own_weights(model, state, tmp_path)
    assert message in one_line(caught)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_load_own_weights_names_three_tensors_and_counts_the_others(tmp_path):
    with pytest.raises(UserError) as caught:
        load_own_weights(other_model(), {}, tmp_path)
    assert re.search(r"is not in it; .* and \d+ more; take the configuration", one_line(caught))


def test_load_weights_into_a_backbone_with_other_names_replaces_the_head_alone():
    source, model = other_model(classes=7, seed=1), other_model()
    report = load_weights(model, source.state_dict())
    assert torch.equal(model.state_dict()["patch.weight"], source.state_dict()["patch.weight"])
    assert report.mismatched == ("head.weight", "head.bias")
    with pytest.raises(UserError, match="backbone tensors do not fit, such as patch"):
        load_weights(model, other_model(channels=5).state_dict())
