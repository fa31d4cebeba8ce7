"""The one door, `read_weights`: each published model, in each program's names, through a real file."""

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from avsf_det.errors import UserError
from avsf_det.models.checkpoint import load_weights, save_checkpoint
from avsf_det.models.importers import FORMATS, OURS, pyslowfast, read_weights, swap_colours


def write_torch(state, path, **beside):
    torch.save({"model_state": state, "epoch": 7, **beside}, path)


def write_caffe2(state, path):
    """As Caffe2's pickles: numpy in protocol 2, the solver's blobs beside the weights, linear layers of two dims."""
    blobs = {name: tensor.numpy() for name, tensor in state.items()}
    blobs |= {f"{name}_momentum": np.zeros_like(blob) for name, blob in list(blobs.items())[:3]}
    blobs |= {"lr": np.float32(0.1), "model_iter": np.array([7])}
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))


WRITERS = {
    "pyslowfast": write_torch,
    "caffe2": write_caffe2,
    "pytorchvideo": write_torch,
    "pytorchvideo_detection": write_torch,
}


@pytest.mark.parametrize("naming", WRITERS)
def test_every_tensor_of_every_model_lands_where_it_belongs(tmp_path, architecture, foreign, numbered, naming):
    """At an eighth of the width, which changes no name; every tensor holds a number of its own."""
    if architecture.non_local and "pytorchvideo" in naming:
        pytest.skip("PyTorchVideo's SlowFast has no non-local blocks")
    model = architecture.build(width=8)
    expected = numbered(model.state_dict())
    WRITERS[naming](foreign(naming, expected, architecture.depth), tmp_path / "weights")
    weights = read_weights(tmp_path / "weights")
    assert weights.format == naming.removesuffix("_detection")
    report = load_weights(model, weights.state)
    assert report.differing == ()
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked") or naming != "caffe2":
            assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("naming", WRITERS)
def test_shapes_of_the_full_width_are_the_model_s(architecture, foreign, naming):
    if architecture.non_local and "pytorchvideo" in naming:
        pytest.skip("PyTorchVideo's SlowFast has no non-local blocks")
    with torch.device("meta"):
        state = architecture.build().state_dict()
    rename = FORMATS[naming.removesuffix("_detection")].rename
    renamed = {rename(name): tensor.shape for name, tensor in foreign(naming, state, architecture.depth).items()}
    counted = naming != "caffe2"
    assert renamed == {name: x.shape for name, x in state.items() if counted or not name.endswith("batches_tracked")}


def test_non_local_blocks_have_the_same_places_in_caffe2(foreign):
    ours = [
        f"s{k}.pathway0_nonlocal{i}.{layer}"
        for k, i in ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20))
        for layer in (
            *(f"conv_{conv}.{leaf}" for conv in ("theta", "phi", "g", "out") for leaf in ("weight", "bias")),
            *(f"bn.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var")),
        )
    ]
    theirs = foreign("caffe2", dict.fromkeys(ours))
    assert len(theirs) == len(ours) and [FORMATS["caffe2"].rename(blob) for blob in theirs] == ours


# Formats are told apart


def test_a_distributed_model_s_prefix_and_sub_batch_norms_are_no_obstacle(tmp_path, make_model):
    model = make_model(sound=False)
    state = {}
    for name, tensor in pyslowfast.export(model.state_dict()).items():
        module, _, leaf = name.rpartition(".")
        if leaf.startswith("running"):
            state[f"module.{module}.bn.{leaf}"] = tensor
            state[f"module.{module}.split_bn.{leaf}"] = tensor.repeat(2)
        elif leaf == "num_batches_tracked":
            state |= {f"module.{module}.{inner}.{leaf}": tensor for inner in ("bn", "split_bn")}
        else:
            state[f"module.{name}"] = tensor
    write_torch(state, tmp_path / "weights.pyth", cfg="NUM_GPUS: 8\n")
    weights = read_weights(tmp_path / "weights.pyth")
    assert weights.format == "pyslowfast" and weights.about == {"epoch": 7, "cfg": "NUM_GPUS: 8\n"}
    other = make_model(sound=False)
    assert load_weights(other, weights.state).differing == ()
    torch.testing.assert_close(dict(other.state_dict()), dict(model.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("beside", "format"), [({}, "avslowfast"), ({"format": OURS}, OURS), ({"label_map": "item {}"}, OURS)]
)
def test_the_authors_models_and_ours_are_told_apart_by_what_is_beside_them(tmp_path, make_model, beside, format):
    save_checkpoint(tmp_path / "a.pyth", {"model_state": make_model().state_dict(), **beside})
    weights = read_weights(tmp_path / "a.pyth")
    assert weights.format == format and str(weights) == FORMATS[format].title
    assert weights.about == beside


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ({"res2_0_branch2a_w": np.zeros((1, 1, 1, 1), np.float32), "fc1000_b": np.zeros(3)}, "caffe2"),
        ({"model": {"stem.conv1.weight": np.zeros((1,)), "res2.0.conv1.weight": np.zeros((1,))}}, "detectron2"),
        ({"model": {"backbone.bottom_up.res2.0.conv1.weight": np.zeros((1,))}, "__author__": "D2"}, "detectron2"),
        ({"state_dict": {"layer1.0.conv1.weight": np.zeros((1,))}}, "torchvision"),
        ({"blocks.1.res_blocks.0.branch2.conv_a.weight": np.zeros((1,))}, "pytorchvideo"),
    ],
)
def test_formats_show_by_their_names(tmp_path, content, format):
    (tmp_path / "weights.pkl").write_bytes(pickle.dumps(content))
    assert read_weights(tmp_path / "weights.pkl").format == format


@pytest.mark.parametrize("content", [{"fc.weight": torch.zeros(2)}, {"layer1.0.conv1.0.weight": torch.zeros(2)}])
def test_tensors_of_another_kind_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match="of an unknown kind") as caught:
        read_weights(tmp_path / "other.pth")
    assert next(iter(content)) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 1}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="no weights by name"):
        read_weights(tmp_path / "other.pth")


@torch.no_grad()
def test_colours_swapped_make_a_bgr_model_one_for_rgb(make_model, clips):
    model, swapped = make_model(sound=False), make_model(sound=False)
    load_weights(swapped, swap_colours(model.state_dict()))
    bgr = [frames.flip(1) for frames in (clips.slow, clips.fast)]
    torch.testing.assert_close(
        swapped(*bgr, boxes=clips.boxes), model(clips.slow, clips.fast, boxes=clips.boxes), rtol=1e-4, atol=1e-5
    )


# The public implementations' results


@pytest.fixture(scope="module")
def golden():
    """The module that holds the public implementations' weights, inputs and results."""
    spec = importlib.util.spec_from_file_location("golden", Path(__file__).parents[1] / "test_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
@pytest.mark.parametrize("naming", ["pyslowfast", "caffe2", "pytorchvideo_detection"])
def test_weights_from_any_program_s_file_compute_what_pyslowfast_computes(tmp_path, golden, foreign, naming):
    ours = {pyslowfast.rename(name): tensor for name, tensor in golden.golden_state(golden.VISUAL).items()}
    WRITERS[naming](foreign(naming, ours), tmp_path / "weights")
    model = golden.make(golden.VISUAL).eval()
    assert load_weights(model, read_weights(tmp_path / "weights").state).differing == ()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, ours[name]) or name.endswith("num_batches_tracked"), name
    if naming == "caffe2":  # the others have the same tensors
        expected = np.load(golden.GOLDEN / f"{golden.VISUAL}.npz")
        logits = model(*golden.golden_visual(8), boxes=torch.as_tensor(expected["boxes"]))
        golden.assert_close(logits, expected["logits"])


def test_the_authors_weights_come_whole_and_go_back_under_their_names(tmp_path, golden):
    state = golden.golden_state(golden.AUDIOVISUAL)
    write_torch(state, tmp_path / "weights.pyth")
    weights = read_weights(tmp_path / "weights.pyth")
    assert weights.format == "avslowfast" and weights.state.keys() == state.keys()
    assert pyslowfast.export(weights.state).keys() == state.keys()
    model = golden.make(golden.AUDIOVISUAL)
    report = load_weights(model, weights.state)
    assert report.differing == ()
    own = model.state_dict()
    assert all(torch.equal(own[name], state[name]) for name in report.loaded if name in state)
