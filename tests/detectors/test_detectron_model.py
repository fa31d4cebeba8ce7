import pickle

import numpy as np
import pytest
import torch

from avsf_det.errors import UserError

pytest.importorskip("detectron2")

from detectors.detectron import DetectronDetector, require_detectron2
from detectors.detectron_model import build_network, find_classes, find_weights, load_config, load_weights

require_detectron2()
ZOO = "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"


class Evil:
    def __reduce__(self):
        return eval, ("1/0",)


FILES = {
    "calls": pickle.dumps(Evil(), protocol=2),
    "calls within": pickle.dumps({"model": Evil()}, protocol=2),
    "damaged": b"damaged" * 50,
    "empty": b"",
}


@pytest.fixture(scope="module")
def network(tiny_config):
    torch.manual_seed(0)
    return build_network(load_config(tiny_config), "cpu")


def test_zoo_name_brings_its_weights_and_coco_classes():
    cfg = load_config(ZOO)
    assert cfg.MODEL.WEIGHTS.startswith("https://") and cfg.MODEL.WEIGHTS.endswith(".pkl")
    assert find_classes(cfg, ["person"]) == [0]
    assert find_classes(load_config("PascalVOC-Detection/faster_rcnn_R_50_C4.yaml"), ["person"]) == [14]
    assert find_classes(load_config("COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x.yaml"), ["person"]) == [0]


def test_unknown_person_class_is_reported():
    with pytest.raises(UserError, match=r"cannot tell which of its 80 classes is 'person'"):
        find_classes(load_config(ZOO, ["DATASETS.TRAIN", "('mine',)"]), ["person"])


@pytest.mark.parametrize(
    "text, message",
    [
        ("MODEL: {FPN: {OUT_CHANNEL: 5}}", "did you mean MODEL.FPN.OUT_CHANNELS"),
        ("MODEL: {FPN: {OUT_CHANNELS: many}}", "OUT_CHANNELS"),
        ("MODEL: [", "config.yaml"),
        ("just words", "config.yaml"),
        ("MODEL: !!python/object/apply:eval ['1/0']", "config.yaml"),
    ],
)
def test_a_bad_config_is_refused(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(f"VERSION: 2\n{text}\n")
    with pytest.raises(UserError, match=message) as error:
        load_config(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["COCO-Detection/no_such.yaml", "no/such/file.yaml", "no/such/file.pth"])
def test_a_missing_config_is_refused(name):
    with pytest.raises(UserError, match=name):
        load_config(name)


@pytest.mark.parametrize("suffix", ["pth", "pkl"])
def test_weights_are_loaded_from_both_kinds_of_file(tmp_path, network, tiny_config, suffix):
    path = tmp_path / f"weights.{suffix}"
    state = network.state_dict()
    if suffix == "pth":
        torch.save({"model": state}, path)
    else:
        arrays = {name: array.numpy() for name, array in state.items()}
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "someone"}))
    torch.manual_seed(1)
    other = build_network(load_config(tiny_config), "cpu")
    load_weights(other, find_weights(path))
    assert all(torch.equal(array, state[name]) for name, array in other.state_dict().items())


@pytest.mark.parametrize("suffix", ["pth", "pkl"])
@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_files_that_would_run_code_or_are_damaged_are_refused(tmp_path, network, suffix, content):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="expected weights for Detectron2") as error:
        load_weights(network, path)
    assert "\n" not in str(error.value)


def test_weights_of_another_network_are_refused(tmp_path, network, tiny_config):
    path = tmp_path / "weights.pth"
    torch.save({"model": network.state_dict()}, path)
    with pytest.raises(UserError, match="another network"):
        DetectronDetector(tiny_config, _with_more_channels(path))
    load_weights(network, path, whole=False)


def _with_more_channels(path):
    state = torch.load(path, weights_only=True)["model"]
    state["roi_heads.box_head.fc1.weight"] = torch.from_numpy(np.zeros((5, 5), np.float32))
    torch.save({"model": state}, path)
    return path


@pytest.fixture(scope="module")
def coco_network(tiny_config):
    torch.manual_seed(2)
    return build_network(load_config(tiny_config, ["MODEL.ROI_HEADS.NUM_CLASSES", "80"]), "cpu")


def test_the_person_of_cocos_classes_is_carried_over(tmp_path, network, coco_network):
    state = coco_network.state_dict()
    torch.save({"model": state}, tmp_path / "weights.pth")
    assert load_weights(network, tmp_path / "weights.pth", whole=False) == []
    own, theirs = network.roi_heads.box_predictor, coco_network.roi_heads.box_predictor
    assert torch.equal(own.cls_score.weight, theirs.cls_score.weight[[0, 80]])  # the last row is background
    assert torch.equal(own.cls_score.bias, theirs.cls_score.bias[[0, 80]])
    assert torch.equal(own.bbox_pred.weight, theirs.bbox_pred.weight[:4])
    assert torch.equal(own.bbox_pred.bias, theirs.bbox_pred.bias[:4])
    assert torch.equal(network.roi_heads.box_head.fc1.weight, state["roi_heads.box_head.fc1.weight"])


def test_the_person_of_cocos_classes_is_carried_over_from_caffe2(tmp_path, network):
    rng = np.random.default_rng(0)
    width = network.roi_heads.box_predictor.cls_score.in_features
    blobs = {"cls_score_w": (81, width), "cls_score_b": (81,), "bbox_pred_w": (324, width), "bbox_pred_b": (324,)}
    blobs = {name: rng.normal(size=shape).astype(np.float32) for name, shape in blobs.items()}
    (tmp_path / "weights.pkl").write_bytes(pickle.dumps({"blobs": blobs}))
    lacking = load_weights(network, tmp_path / "weights.pkl", whole=False)
    assert "roi_heads.box_head.fc1.weight" in lacking
    own = network.roi_heads.box_predictor
    assert torch.equal(own.cls_score.weight, torch.from_numpy(blobs["cls_score_w"][[1, 0]]))  # background is first
    assert torch.equal(own.bbox_pred.bias, torch.from_numpy(blobs["bbox_pred_b"][4:8]))


def test_another_number_of_classes_than_cocos_is_named(tmp_path, network, tiny_config):
    other = build_network(load_config(tiny_config, ["MODEL.ROI_HEADS.NUM_CLASSES", "5"]), "cpu")
    torch.save({"model": other.state_dict()}, tmp_path / "weights.pth")
    head = {f"roi_heads.box_predictor.{n}.{leaf}" for n in ("cls_score", "bbox_pred") for leaf in ("weight", "bias")}
    assert set(load_weights(network, tmp_path / "weights.pth", whole=False)) == head


def test_weights_that_fit_nowhere_are_refused(tmp_path, network):
    torch.save({"model": {"something": torch.zeros(3)}}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="another network"):
        load_weights(network, tmp_path / "weights.pth", whole=False)


@pytest.mark.parametrize("config", ["person_r18_fpn_small", "person_r50_fpn", "person_x101_fpn"])
def test_our_configs_are_known_to_detectron2(config, pytestconfig):
    cfg = load_config(pytestconfig.rootpath / "configs" / "detectors" / f"{config}.yaml")
    assert find_classes(cfg, ["person"]) == [0] and cfg.MODEL.ROI_HEADS.NUM_CLASSES == 1


def crafted_dtype():
    """A pickle of an array whose dtype's state claims a subtype, which numpy would follow out of its memory."""
    start = b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    dtype = b"cnumpy\ndtype\n(U\x02V8K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\x7fK\x01K\x00tb"
    return start + b"(K\x01(K\x01K\x01t" + dtype + b"\x89U\x08" + b"A" * 8 + b"tbs."


def test_weights_with_a_crafted_dtype_are_refused(tmp_path, network):
    (tmp_path / "weights.pkl").write_bytes(crafted_dtype())
    with pytest.raises(UserError, match="which are no numbers"):
        load_weights(network, tmp_path / "weights.pkl")


@pytest.fixture
def checkpoint(tmp_path, network, tiny_config):
    """Writes a checkpoint of `train_detector` whose configuration is changed by KEY VALUE pairs."""

    def write(*overrides):
        cfg = load_config(tiny_config)
        cfg.merge_from_list(list(overrides))
        torch.save({"model": network.state_dict(), "config": cfg.dump()}, tmp_path / "checkpoint.pth")
        return tmp_path / "checkpoint.pth"

    return write


def test_load_config_of_a_checkpoint_takes_its_network_and_leaves_its_folders(checkpoint):
    path = checkpoint("OUTPUT_DIR", "/elsewhere", "MODEL.WEIGHTS", "https://example.org/evil.pkl")
    cfg = load_config(path)
    assert cfg.MODEL.FPN.OUT_CHANNELS == 16 and cfg.INPUT.MIN_SIZE_TEST == 64
    assert cfg.OUTPUT_DIR == "./output" and str(path) == cfg.MODEL.WEIGHTS
    assert DetectronDetector(path).identity


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MODEL.ROI_BOX_HEAD.FC_DIM", 100_000, "parameters, but the file holds"),
        ("MODEL.ROI_BOX_HEAD.FC_DIM", 10**12, "FC_DIM 1000000000000"),
        ("MODEL.ROI_BOX_HEAD.NUM_FC", 10**9, "NUM_FC 1000000000"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 10**9, "NUM_CLASSES 1000000000"),
        ("MODEL.RESNETS.DEPTH", 17, "cannot build this network"),
        ("INPUT.MIN_SIZE_TEST", 10**6, "MIN_SIZE_TEST 1000000"),
    ],
)
def test_load_config_of_a_checkpoint_that_asks_for_too_much_is_refused(checkpoint, key, value, message):
    with pytest.raises(UserError, match=message) as error:
        load_config(checkpoint(key, value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("config", ["MODEL: [", "a: 2020-99-99", "[" * 5000, "MODEL: 3", "just words", 3, None, ["x"]])
def test_load_config_of_a_checkpoint_with_a_damaged_configuration_is_refused(tmp_path, network, config):
    torch.save({"model": network.state_dict(), "config": config}, tmp_path / "checkpoint.pth")
    with pytest.raises(UserError, match="configuration") as error:
        load_config(tmp_path / "checkpoint.pth")
    assert "\n" not in str(error.value)
