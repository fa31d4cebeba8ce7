import json

import pytest
import torch

from avsf_det.cli import main
from avsf_det.config import load_cfg
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.convert import convert_weights
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.train import Trainer
from avsf_det.errors import UserError
from avsf_det.models.checkpoint import load_checkpoint
from tests.data.classification.layouts import epic_55, kinetics, ucf101
from tests.engine.test_pretraining_task import AVS, words
from tests.engine.training import assert_same_training, killed, log
from tests.processes import command_in_two

JOINT = {"TENSORBOARD.ENABLE": False, "CLIPS.BATCH_SIZE": 2, "MODEL.CLASS_BALANCE": "effective_number"}
JOINT |= {"TRAIN.ACCUMULATION_STEPS": 2, "DATA.MIX_NEG_EPOCH": 1} | AVS


@pytest.fixture(scope="module")
def sets(scenes, tmp_path_factory):
    """Datasets of whole clips, by layout."""
    root = tmp_path_factory.mktemp("sets")
    for layout in (epic_55, kinetics, ucf101):
        layout(root / layout.__name__, sorted((scenes / "videos").iterdir()))
    return root


@pytest.fixture(scope="module")
def joint(tiny, sets, tmp_path_factory):
    """A checkpoint of a model that scores boxes and the clips of Kinetics, after two epochs, both evaluated."""
    output = tmp_path_factory.mktemp("joint")
    pairs = {"CLIPS.ROOT": sets / "kinetics", "OUTPUT_DIR": output, "TRAIN.EVAL_PERIOD": 1, **JOINT}
    return Trainer(load_cfg(None, [*tiny, *words(pairs)])).run()


@pytest.fixture
def make(tiny, sets, tmp_path):
    """A function that makes a trainer of both, whose results go to a named folder."""

    def make(output, layout="kinetics", keys=()):
        pairs = {"CLIPS.ROOT": sets / layout, "OUTPUT_DIR": tmp_path / output, **JOINT, **dict(keys)}
        return Trainer(load_cfg(None, [*tiny, *words(pairs)]))

    return make


def state(path):
    return load_checkpoint(path)["model_state"]


def test_both_are_learned_judged_and_kept(joint):
    found = [record for record in log(joint.parents[1]) if record["kind"] == "eval"]
    assert len(found) == 2 and all({"mAP", "clip_top1", "clip_mean_class"} <= record.keys() for record in found)
    checkpoint = load_checkpoint(joint)
    assert "label_map" in checkpoint
    assert [head["classes"] for head in checkpoint["heads"]] == [["clapping", "playing drums", "waving hand"]]
    layers = {name.rpartition(".")[0] for name in checkpoint["model_state"] if "head." in name}
    assert layers == {"head.projection", "clip_head.projection_action"}
    folder = joint.parents[1]
    assert (folder / "detections_val.csv").is_file() and (folder / "clips" / "predictions_val.csv").is_file()


@pytest.mark.parametrize("step", range(4))
def test_killed_at_any_step_it_goes_on_to_the_same_weights(make, joint, monkeypatch, step):
    keys = {"TRAIN.CHECKPOINT_STEPS": 1, "TRAIN.EVAL_PERIOD": 1}
    with killed(monkeypatch, lambda trainer: trainer.step == step):
        make("run", keys=keys).run()
    torch.rand(7)
    trainer = make("run", keys=keys)
    assert trainer.step == step
    assert_same_training(trainer.run(), joint)


def test_two_processes_learn_both_with_weights_shared_out_or_not(tiny, sets, tmp_path):
    found = []
    for sharded in ("False", "True"):
        pairs = {**JOINT, "CLIPS.ROOT": sets / "kinetics", "OUTPUT_DIR": tmp_path / sharded, "TRAIN.SHARDED": sharded}
        keys = {"SOLVER.OPTIMIZING_METHOD": "sgd", "SOLVER.MAX_EPOCH": 1, "BN.USE_PRECISE_STATS": True}
        command_in_two("train", *tiny, *words(pairs | keys))
        found.append(state(tmp_path / sharded / "checkpoints" / "checkpoint_epoch_00001.pyth"))
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-3, atol=1e-4)


def test_verbs_and_nouns_are_learned_beside_boxes(make, sets, tmp_path):
    weights = make("run", "epic_55", {"SOLVER.MAX_EPOCH": 1}).run()
    predictor = ClipPredictor.load(weights)
    assert [head.name for head in predictor.heads] == ["verb", "noun"]
    command = ["eval", "--clips", "--weights", str(weights), "DATA.EVAL_SPLIT", "train"]
    assert main(command) == 2
    assert main([*command, "CLIPS.ROOT", str(sets / "epic_55")]) == 0
    assert "action_top1" in json.loads((tmp_path / "run" / "clips" / "evaluation_train.json").read_text())


def test_one_checkpoint_detects_classifies_and_is_evaluated_at_both(
    joint, sets, scenes, video, detect, tmp_path, capsys
):
    assert main(detect(video, weights=joint)) == 0
    assert (
        main(["classify", str(video), "--weights", str(joint), "-o", str(tmp_path / "clips"), "--device", "cpu"]) == 0
    )
    capsys.readouterr()
    place = ["--weights", str(joint), "OUTPUT_DIR", str(tmp_path / "eval")]
    place += ["DATA.ROOT", str(scenes), "CLIPS.ROOT", str(sets / "kinetics")]
    assert main(["eval", *place]) == 0 and "mAP" in capsys.readouterr().out
    boxes = (tmp_path / "eval" / "evaluation_val.json").read_bytes()
    assert main(["eval", "--clips", *place]) == 0 and "top1" in capsys.readouterr().out
    assert (tmp_path / "eval" / "evaluation_val.json").read_bytes() == boxes
    judged = [record for record in log(joint.parents[1]) if record["kind"] == "eval"][-1]
    assert json.loads(boxes)["mAP"] == judged["mAP"]


def test_a_model_of_boxes_alone_has_no_clips_to_be_evaluated_on(weights, capsys):
    assert main(["eval", "--clips", "--weights", str(weights)]) == 2
    assert "a model of boxes, which knows no classes of whole clips" in capsys.readouterr().err


def test_converting_keeps_both_heads(joint, tmp_path):
    _, report = convert_weights(joint, tmp_path / "out.pyth")
    assert not report.differing
    assert ClipPredictor.load(tmp_path / "out.pyth").heads == ClipPredictor.load(joint).heads
    assert Predictor.load(tmp_path / "out.pyth").label_map == Predictor.load(joint).label_map
    before, after = state(joint), state(tmp_path / "out.pyth")
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_classifier_gives_its_last_layer_to_the_head_of_clips(make, tiny, sets, tmp_path):
    pairs = {"DATA.ROOT": sets / "epic_55", "DETECTION.ENABLE": False, "OUTPUT_DIR": tmp_path / "epic"}
    epic = Trainer(load_cfg(None, [*tiny, *words(pairs | {"SOLVER.MAX_EPOCH": 1, "TENSORBOARD.ENABLE": False})])).run()
    pairs |= {"DATA.ROOT": sets / "kinetics", "OUTPUT_DIR": tmp_path / "kinetics", "SOLVER.MAX_EPOCH": 1}
    plain = Trainer(load_cfg(None, [*tiny, *words(pairs | {"TENSORBOARD.ENABLE": False})])).run()
    for layout, weights in (("epic_55", epic), ("kinetics", plain)):
        before = state(weights)
        after = make(f"of {layout}", layout, {"TRAIN.CHECKPOINT_FILE_PATH": weights}).model.state_dict()
        heads = [name for name in before if name.startswith("head.")]
        assert len(heads) == (4 if layout == "epic_55" else 2)
        for name in heads:
            mine = f"clip_{name}".replace("projection.", "projection_action.")
            assert torch.equal(after[mine], before[name])


def test_a_detector_s_last_layer_stays_its_own(make, weights):
    before, after = state(weights), make("run", keys={"TRAIN.CHECKPOINT_FILE_PATH": weights}).model.state_dict()
    assert torch.equal(after["head.projection.weight"], before["head.projection.weight"])


def test_a_detached_model_of_both_learns_its_last_layers_alone(make, joint):
    keys = {"MODEL.DETACH_FINAL_FC": True, "SLOWFAST.AVS_FLAG": [False] * 5, "TRAIN.CHECKPOINT_FILE_PATH": joint}
    trainer = make("run", keys=keys | {"SOLVER.MAX_EPOCH": 1})
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    after = state(trainer.run())
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if "head." in name}


@pytest.mark.parametrize("size", [0, -1])
def test_clips_a_step_are_some(make, size):
    with pytest.raises(UserError, match=f"CLIPS.BATCH_SIZE expects 1 to 1000000, got {size}"):
        make("run", keys={"CLIPS.BATCH_SIZE": size})


def test_clips_besides_are_for_detectors(make):
    with pytest.raises(UserError, match=r"CLIPS.ROOT is of a detector's second head"):
        make("run", keys={"DETECTION.ENABLE": False})
