import json
import math

import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.engine import train
from avsf_det.engine.train import Trainer, last_checkpoint
from avsf_det.errors import UserError


@pytest.fixture
def make(tiny, tmp_path):
    """A function that makes a trainer whose results go to a named folder."""

    def make(output, *overrides):
        return Trainer(load_cfg(None, [*tiny, "OUTPUT_DIR", str(tmp_path / output), *overrides]))

    return make


def assert_same_training(one, other):
    one, other = (torch.load(path, weights_only=True) for path in (one, other))
    assert one["epoch"] == other["epoch"]
    assert one["model_state"].keys() == other["model_state"].keys()
    for name, tensor in one["model_state"].items():
        assert torch.equal(tensor, other["model_state"][name]), name
    for number, state in one["optimizer_state"]["state"].items():
        for name, tensor in state.items():
            assert torch.equal(tensor, other["optimizer_state"]["state"][number][name]), name


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_same_seed_gives_the_same_weights_whoever_loads(make, weights, workers):
    assert_same_training(make("again", "TRAIN.NUM_WORKERS", workers).run(), weights)


def test_another_seed_gives_other_weights(make, weights):
    other = torch.load(make("other", "RNG_SEED", "1").run(), weights_only=True)["model_state"]
    one = torch.load(weights, weights_only=True)["model_state"]
    assert not torch.equal(one["head.projection.weight"], other["head.projection.weight"])


@pytest.mark.parametrize("moment", ["between", "within"], ids=["between epochs", "within the second epoch"])
def test_training_that_was_killed_goes_on_to_the_same_weights(make, weights, monkeypatch, tmp_path, moment):
    step, saved = Trainer._step, []

    def killed(self, batch):
        if self.epoch == 1 and (moment == "between" or saved):
            raise KeyboardInterrupt
        saved.append(self.epoch) if self.epoch == 1 else None
        return step(self, batch)

    monkeypatch.setattr(Trainer, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        make("run").run()
    monkeypatch.undo()
    assert last_checkpoint(tmp_path / "run").name == "checkpoint_epoch_00001.pyth"
    torch.manual_seed(1234)
    torch.rand(7)
    trainer = make("run")
    assert trainer.epoch == 1
    assert_same_training(trainer.run(), weights)
    assert [record["epoch"] for record in log(tmp_path / "run")] == [1, 2]


def test_a_finished_training_is_not_repeated(make):
    weights = make("run").run()
    stamp = weights.stat().st_mtime_ns
    assert make("run").run() == weights and weights.stat().st_mtime_ns == stamp


def test_beginning_anew_gives_the_new_weights_even_beside_older_ones(make, tmp_path):
    make("run").run()
    weights = make("run", "TRAIN.AUTO_RESUME", "False", "SOLVER.MAX_EPOCH", "1").run()
    assert weights.name == "checkpoint_epoch_00001.pyth"


def test_the_loss_falls_and_is_logged_with_the_map(make, tmp_path):
    make("run", "SOLVER.MAX_EPOCH", "6", "TRAIN.CHECKPOINT_PERIOD", "4", "TRAIN.EVAL_PERIOD", "3").run()
    records = log(tmp_path / "run")
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1]["loss"] < 0.9 * records[0]["loss"]
    assert [record["epoch"] for record in records if "mAP" in record] == [3, 6]
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["checkpoint_epoch_00004.pyth", "checkpoint_epoch_00006.pyth"]


def test_an_audiovisual_model_starts_from_a_visual_one(make):
    visual = make("visual", "MODEL.MODEL_NAME", "SlowFast", "SOLVER.MAX_EPOCH", "1").run()
    state = torch.load(visual, weights_only=True)["model_state"]
    model = make("both", "TRAIN.CHECKPOINT_FILE_PATH", str(visual)).model.state_dict()
    assert torch.equal(model["s1.pathway0_stem.conv.weight"], state["s1.pathway0_stem.conv.weight"])


def test_a_loss_that_is_no_number_stops_with_advice(make, monkeypatch):
    monkeypatch.setattr(Trainer, "_step", lambda self, batch: {"loss": math.nan})
    with pytest.raises(UserError, match=r"the loss is nan at epoch 1, batch 1; lower SOLVER.BASE_LR \(now 0.01\)"):
        make("run").run()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["SOLVER.OPTIMIZING_METHOD", "sgd"], "SOLVER.OPTIMIZING_METHOD was 'adamw', is now 'sgd'"),
        (["RESNET.WIDTH_PER_GROUP", "16"], "weights of another architecture"),
        (["MODEL.MODEL_NAME", "SlowFast"], "weights of another model"),
        (["DETECTION.ENABLE", "False"], "DETECTION.ENABLE is False"),
    ],
    ids=str,
)
def test_going_on_with_something_else_is_refused(make, monkeypatch, tmp_path, weights, overrides, message):
    monkeypatch.setattr(train, "last_checkpoint", lambda output: weights)
    with pytest.raises(UserError, match=message) as error:
        make("run", *overrides)
    assert "\n" not in str(error.value)


def test_an_output_folder_that_cannot_be_written_is_told_before_training(make, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/run .*OUTPUT_DIR"):
        make("file/run")


def test_synchronisation_is_trained_along_with_the_actions(make, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(train, "choose_negatives", lambda sounds, easy: seen.append((len(sounds), easy)) or sounds)
    flags = ["SLOWFAST.AVS_FLAG", "[False, False, True, True, True]", "DATA.MIX_NEG_EPOCH", "1"]
    trainer = make("run", *flags, "DATA.EASY_NEG_RATIO", "0.5")
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if ".avs." in name}
    trainer.run()
    after = dict(trainer.model.named_parameters())
    assert len(before) == 12 and all(not torch.equal(after[name], old) for name, old in before.items())
    half = len(seen) // 2
    assert all(easy == batch for batch, easy in seen[:half]) and all(easy == batch // 2 for batch, easy in seen[half:])
    assert all(0 < record["avs_loss"] < record["loss"] for record in log(tmp_path / "run"))
