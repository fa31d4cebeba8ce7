import math
import os
import shutil
import signal
from dataclasses import replace
from unittest import mock

import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.data.dataset import ActionDataset
from avsf_det.engine import detection_task, learner
from avsf_det.engine.checkpoints import CheckpointFolder
from avsf_det.engine.learner import Learner
from avsf_det.engine.schedule import parameter_names
from avsf_det.engine.stop import Stopped
from avsf_det.engine.train import Trainer
from avsf_det.errors import UserError
from avsf_det.models.norms import BatchNorm3d
from avsf_det.models.synchronisation import assign_negatives
from tests.engine.training import Killed, assert_same_training, killed, log
from tests.processes import in_processes


@pytest.fixture
def make(tiny, tmp_path):
    """A function that makes a trainer whose results go to a named folder."""

    def make(output, *overrides):
        return Trainer(load_cfg(None, [*tiny, "OUTPUT_DIR", str(tmp_path / output), *overrides]))

    return make


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_same_seed_gives_the_same_weights_whoever_loads(make, weights, workers):
    assert_same_training(make("again", "TRAIN.NUM_WORKERS", workers).run(), weights)


def test_another_seed_gives_other_weights(make, weights):
    other = torch.load(make("other", "RNG_SEED", "1").run(), weights_only=True)["model_state"]
    one = torch.load(weights, weights_only=True)["model_state"]
    assert not torch.equal(one["head.projection.weight"], other["head.projection.weight"])


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("period", [0, 1], ids=["saved an epoch", "saved a step"])
def test_training_that_was_killed_at_any_step_goes_on_to_the_same_weights(
    make, weights, monkeypatch, tmp_path, step, period
):
    overrides = ["TRAIN.CHECKPOINT_STEPS", str(period), "LOG_PERIOD", "1"]
    with killed(monkeypatch, lambda trainer: trainer.step == step):
        make("run", *overrides).run()
    torch.manual_seed(1234)
    torch.rand(7)
    trainer = make("run", *overrides)
    assert trainer.step == (step if period else step // 2 * 2)
    assert_same_training(trainer.run(), weights)
    records = log(tmp_path / "run")
    assert [record["step"] for record in records if record["kind"] == "train"] == [1, 2, 3, 4]
    assert [record["epoch"] for record in records if record["kind"] == "epoch"] == [1, 2]


def test_what_is_logged_does_not_depend_on_a_kill(make, monkeypatch, tmp_path):
    def numbers(folder):
        return [{k: v for k, v in record.items() if "seconds" not in k} for record in log(tmp_path / folder)]

    overrides = ["LOG_PERIOD", "3", "TRAIN.CHECKPOINT_STEPS", "1", "TRAIN.EVAL_PERIOD", "1"]
    make("whole", *overrides).run()
    with killed(monkeypatch, lambda trainer: trainer.step == 1):
        make("parts", *overrides).run()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(detection_task, "evaluate_split", mock.Mock(side_effect=Killed))
        make("parts", *overrides).run()
    with killed(monkeypatch, lambda trainer: trainer.step == 3):
        make("parts", *overrides).run()
    make("parts", *overrides).run()
    assert numbers("parts") == numbers("whole")


def test_a_checkpoint_that_was_cut_off_is_passed_over(make, weights, tmp_path, caplog):
    newest = make("run").run()
    newest.write_bytes(newest.read_bytes()[:1000])
    assert_same_training(make("run").run(), weights)
    assert "checkpoint_epoch_00002.pyth" in caplog.text and "going on from the checkpoint before it" in caplog.text


def test_a_finished_training_is_not_repeated(make):
    weights = make("run").run()
    stamp = weights.stat().st_mtime_ns
    assert make("run").run() == weights and weights.stat().st_mtime_ns == stamp


def test_beginning_anew_sets_aside_what_was_there(make, tmp_path):
    make("run").run()
    weights = make("run", "TRAIN.AUTO_RESUME", "False", "SOLVER.MAX_EPOCH", "1").run()
    assert weights.name == "checkpoint_epoch_00001.pyth"
    names = sorted(path.name for path in (tmp_path / "run").glob("*/*.pyth"))
    assert names == ["checkpoint_epoch_00001.pyth", "checkpoint_epoch_00001.pyth", "checkpoint_epoch_00002.pyth"]
    assert (tmp_path / "run/checkpoints.1").is_dir() and (tmp_path / "run/log.jsonl.1").is_file()


def test_the_loss_falls_and_is_logged_with_the_map_and_the_best_is_kept(make, tmp_path):
    make("run", "SOLVER.MAX_EPOCH", "6", "TRAIN.CHECKPOINT_PERIOD", "4", "TRAIN.EVAL_PERIOD", "3").run()
    records = log(tmp_path / "run")
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert [record["epoch"] for record in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1]["loss"] < 0.9 * epochs[0]["loss"]
    assert all(record["grad_norm"] > 0 and record["compute_seconds"] > 0 for record in epochs)
    found = {record["epoch"]: record["mAP"] for record in records if record["kind"] == "eval"}
    assert list(found) == [3, 6]
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["best.pyth", "checkpoint_epoch_00004.pyth", "checkpoint_epoch_00006.pyth"]
    best = torch.load(tmp_path / "run/checkpoints/best.pyth", weights_only=True)
    assert best["epoch"] + 1 == max(found, key=found.get)


def test_an_audiovisual_model_starts_from_a_visual_one(make):
    visual = make("visual", "MODEL.MODEL_NAME", "SlowFast", "SOLVER.MAX_EPOCH", "1").run()
    state = torch.load(visual, weights_only=True)["model_state"]
    model = make("both", "TRAIN.CHECKPOINT_FILE_PATH", str(visual)).model.state_dict()
    assert torch.equal(model["s1.pathway0_stem.conv.weight"], state["s1.pathway0_stem.conv.weight"])


@pytest.fixture
def poisoned(monkeypatch):
    """From the second batch on, one module gives a number that is none."""

    def poison(trainer, module, steps):
        def hook(module, inputs, output):
            if trainer.step in steps:
                output = output.clone()
                output[0] = math.nan
            return output

        trainer.model.get_submodule(module).register_forward_hook(hook)

    return poison


def test_a_nan_stops_with_the_module_the_clip_and_the_last_good_checkpoint(make, poisoned, tmp_path):
    trainer = make("run", "TRAIN.CHECKPOINT_STEPS", "1")
    poisoned(trainer, "backbone.s3.pathway0_res0.branch2.a", [1])
    with pytest.raises(UserError) as error:
        trainer.run()
    message = str(error.value)
    assert message.startswith("epoch 1, step 2: loss nan, ")
    assert "module backbone.s3.pathway0_res0.branch2.a for clip train_000" in message
    assert "checkpoint_epoch_00001_step_000001.pyth" in message and "lower SOLVER.BASE_LR (now 0.01)" in message
    assert "\n" not in message
    state = torch.load(CheckpointFolder(tmp_path / "run").newest(), weights_only=True)["model_state"]
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_a_nan_is_skipped_if_asked(make, poisoned, tmp_path, caplog):
    trainer = make("run", "TRAIN.ON_NAN", "skip")
    poisoned(trainer, "backbone.s3.pathway0_res0.branch2.a", [1])
    weights = trainer.run()
    assert "a step is left out" in caplog.text and "s3.pathway0_res0.branch2.a" in caplog.text
    assert [record["skipped"] for record in log(tmp_path / "run") if record["kind"] == "epoch"] == [1, 0]
    state = torch.load(weights, weights_only=True)["model_state"]
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_steps_that_are_all_skipped_stop(make, poisoned):
    trainer = make("run", "TRAIN.ON_NAN", "skip", "SOLVER.MAX_EPOCH", "20")
    poisoned(trainer, "backbone.s2.pathway1_res0.branch2.a", range(100))
    with pytest.raises(UserError, match="20 steps in a row gave nothing to learn from"):
        trainer.run()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1], ids=lambda s: s.name)
def test_a_signal_saves_and_stops_and_the_same_command_goes_on(make, weights, monkeypatch, signum):
    learn = Trainer._learn

    def signalled(self, *arguments):
        if self.step == 1:
            os.kill(os.getpid(), signum)
        return learn(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(Stopped, match=f"{signum.name} after step 2") as stopped:
        patch.setattr(Trainer, "_learn", signalled)
        make("run", "SOLVER.MAX_EPOCH", "2").run()
    assert stopped.value.signum == signum
    trainer = make("run")
    assert trainer.step == 2
    assert_same_training(trainer.run(), weights)


def test_accumulation_needs_less_at_once_and_learns_the_same(make, weights):
    """With norms that are frozen, and without what is drawn at random, two halves give the gradient of the whole."""
    overrides = ["MODEL.FROZEN_BN", "True", "MODEL.DROPOUT_RATE", "0.0", "SLOWFAST.DROPPATHWAY_RATE", "0.0"]
    overrides += ["TRAIN.CHECKPOINT_FILE_PATH", str(weights)]
    overrides += ["SOLVER.OPTIMIZING_METHOD", "sgd", "DATA.CLIPS_PER_READ", "1", "SOLVER.MAX_EPOCH", "1"]
    whole, halves = make("whole", *overrides), make("halves", *overrides, "TRAIN.ACCUMULATION_STEPS", "2")
    batch, *_ = whole.loader.epoch(0)
    first, second, *_ = halves.loader.epoch(0)
    assert len(first) + len(second) == len(batch)
    boxes = {False: len(batch.labels)}
    for trainer in (whole, halves):
        trainer.model.train()
    one = whole.learner.step([batch], boxes, 0, 0.1)
    parts = [batch_of(batch, [0, 1]), batch_of(batch, [2, 3])]
    two = halves.learner.step(parts, boxes, 0, 0.1)
    assert one == pytest.approx(two, rel=1e-4)
    for a, b in zip(whole.model.parameters(), halves.model.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def batch_of(batch, rows):
    """Some clips of a batch."""
    boxes = torch.isin(batch.boxes[:, 0], torch.tensor(rows, dtype=torch.float32))
    shifted = batch.boxes[boxes] - torch.tensor([float(rows[0]), 0, 0, 0, 0])
    tensors = {name: getattr(batch, name)[rows] for name in ("frames", "sizes", "audio", "audio_present")}
    return replace(batch, **tensors, boxes=shifted, labels=batch.labels[boxes], clips=[batch.clips[i] for i in rows])


def test_clips_a_step_must_be_shared_out_evenly(make):
    with pytest.raises(UserError, match=r"TRAIN\.BATCH_SIZE: got 4 clips a step, expected a multiple of 1 processes x"):
        make("run", "TRAIN.ACCUMULATION_STEPS", "3")


def test_half_precision_with_a_scale_learns_and_goes_on(make, tmp_path):
    overrides = ["TRAIN.MIXED_PRECISION", "True", "TRAIN.MIXED_PRECISION_DTYPE", "float16"]
    first = make("run", *overrides, "SOLVER.MAX_EPOCH", "1").run()
    assert torch.load(first, weights_only=True)["scaler_state"]["scale"] > 1
    second = make("run", *overrides).run()
    assert log(tmp_path / "run")[-1]["loss"] > 0 and second.name == "checkpoint_epoch_00002.pyth"


def test_mixed_precision_on_a_cpu_without_bfloat16_computes_in_float32(make, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr("avsf_det.engine.learner.is_fast_in_bfloat16", lambda device: False)

    def learned(name, mixed):
        path = make(name, "TRAIN.MIXED_PRECISION", mixed, "SOLVER.MAX_EPOCH", "1").run()
        return torch.load(path, weights_only=True)["model_state"]

    exact, mixed = learned("exact", "False"), learned("mixed", "True")
    assert all(torch.equal(mixed[key], exact[key]) for key in exact)
    assert "computing in float32" in caplog.text and "no bfloat16 instructions" in caplog.text


def test_bfloat16_gradients_of_short_clips_are_those_of_float32(make, monkeypatch):
    """The Slow pathway has 2 frames here and kernels of 3, the Fast one 4 and kernels of 5."""
    monkeypatch.setattr("avsf_det.engine.learner.is_fast_in_bfloat16", lambda device: True)

    def gradients(name, mixed):
        trainer = make(name, "TRAIN.MIXED_PRECISION", mixed, "MODEL.DROPOUT_RATE", "0.0")
        batch, *_ = trainer.loader.epoch(0)
        trainer.model.train()
        trainer.learner.step([batch], {False: len(batch.labels)}, 0, 0.0)
        return {name: p.grad.clone() for name, p in trainer.model.named_parameters()}

    exact, mixed = gradients("exact", "False"), gradients("mixed", "True")
    temporal = [name for name, grad in exact.items() if grad.dim() == 5 and grad.shape[2] > 1]
    assert len(temporal) > 10
    for name in temporal:
        assert mixed[name].isfinite().all() and mixed[name].norm() < 3 * exact[name].norm() + 1e-3, name


def test_precise_statistics_change_nothing_but_statistics(make, weights):
    precise = make("run", "BN.USE_PRECISE_STATS", "True", "BN.NUM_BATCHES_PRECISE", "1").run()
    one, other = (torch.load(path, weights_only=True)["model_state"] for path in (weights, precise))
    changed = {name.rsplit(".", 1)[1] for name, tensor in one.items() if not torch.equal(tensor, other[name])}
    assert {"running_mean", "running_var"} <= changed
    assert not {"weight", "bias"} & changed


def test_too_many_unreadable_videos_stop_and_few_are_named(make, scenes, tmp_path, caplog):
    root = tmp_path / "data"
    shutil.copytree(scenes, root)
    victim = sorted((root / "videos").glob("*train*"))[0]
    victim.write_bytes(b"no video")
    with pytest.raises(UserError, match=r"1 of 3 videos cannot be read, more than TRAIN.MAX_FAILED_SHARE 0.1"):
        make("run", "DATA.ROOT", str(root))
    trainer = make("run", "DATA.ROOT", str(root), "TRAIN.MAX_FAILED_SHARE", "0.5", "SOLVER.MAX_EPOCH", "1")
    trainer.run()
    assert "1 videos left out" in caplog.text and victim.name in caplog.text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["SOLVER.OPTIMIZING_METHOD", "sgd"], "SOLVER.OPTIMIZING_METHOD was 'adamw', is now 'sgd'"),
        (["RESNET.WIDTH_PER_GROUP", "16"], "RESNET.WIDTH_PER_GROUP was 8, is now 16"),
        (["MODEL.MODEL_NAME", "SlowFast"], "MODEL.MODEL_NAME was 'AVSlowFast', is now 'SlowFast'"),
        (["RNG_SEED", "7"], "RNG_SEED was 0, is now 7"),
        (["DETECTION.ENABLE", "False"], "no annotation files of any of kinetics.*DETECTION.ENABLE True"),
        (["TASK", "cluster"], "TASK: got 'cluster', expected '' or ssl"),
        (["TASK", "ssl"], "DETECTION.ENABLE is True, but clips without labels have no boxes"),
    ],
    ids=str,
)
def test_going_on_with_something_else_is_refused(make, monkeypatch, tmp_path, weights, overrides, message):
    shutil.copytree(weights.parent, tmp_path / "run" / "checkpoints")
    with pytest.raises(UserError, match=message) as error:
        make("run", *overrides)
    assert "\n" not in str(error.value)


def test_an_output_folder_that_cannot_be_written_is_told_before_training(make, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/run .*OUTPUT_DIR"):
        make("file/run")


def test_synchronisation_is_trained_along_with_the_actions(make, monkeypatch, tmp_path):
    seen = []

    def assign(videos, *arguments):
        seen.append(arguments[-1])
        return assign_negatives(videos, *arguments)

    monkeypatch.setattr(learner, "assign_negatives", assign)
    flags = ["SLOWFAST.AVS_FLAG", "[False, False, True, True, True]", "DATA.MIX_NEG_EPOCH", "1"]
    trainer = make("run", *flags, "DATA.EASY_NEG_RATIO", "0.5")
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if ".avs." in name}
    trainer.run()
    after = dict(trainer.model.named_parameters())
    assert len(before) == 12 and all(not torch.equal(after[name], old) for name, old in before.items())
    assert seen == [1.0, 1.0, 0.5, 0.5]
    records = [record for record in log(tmp_path / "run") if record["kind"] == "epoch"]
    assert len(records) == 2 and all(0 < record["avs_loss"] < record["loss"] for record in records)


SYNC = ["SLOWFAST.AVS_FLAG", "[False, False, True, True, True]", "DATA.MIX_NEG_EPOCH", "0"]


def test_easy_negatives_with_one_clip_a_micro_batch_are_of_other_videos(make, monkeypatch):
    found = []

    def assign(videos, *arguments):
        found.append((videos, assign_negatives(videos, *arguments)))
        return found[-1][1]

    monkeypatch.setattr(learner, "assign_negatives", assign)
    make("run", *SYNC, "TRAIN.ACCUMULATION_STEPS", "4", "DATA.EASY_NEG_RATIO", "1.0", "SOLVER.MAX_EPOCH", "1").run()
    for videos, assigned in found:
        for own, (source,) in zip(videos, assigned):
            assert source is not None and videos[source[0]][source[1]] != own[0]


def test_clips_without_any_negative_are_logged_once(make, caplog):
    overrides = [*SYNC, "TRAIN.BATCH_SIZE", "1", "DATA.AUDIO_MISALIGNED_GAP", "10000", "SOLVER.MAX_EPOCH", "1"]
    make("run", *overrides).run()
    assert caplog.text.count("1 of 1 clips of a step have no negative for synchronization") == 1


@pytest.fixture
def unreadable(monkeypatch):
    """A function that makes some samples of every epoch unreadable."""
    read = ActionDataset._sample

    def make(*numbers):
        def sample(self, epoch, index, clip):
            return read(self, epoch, index, UserError("damaged") if index in numbers else clip)

        monkeypatch.setattr(ActionDataset, "_sample", sample)

    return make


ONE_EACH = ["TRAIN.ACCUMULATION_STEPS", "4", "TRAIN.MAX_FAILED_SHARE", "0.5", "LOG_PERIOD", "1"]


def test_an_unreadable_clip_drops_its_micro_batch_and_not_the_step(make, unreadable, tmp_path, monkeypatch):
    unreadable(1, 2)
    steps, step = [], Learner.step

    def spied(self, batches, rows, *arguments):
        steps.append((len(batches), rows[False] == sum(len(batch.labels) for batch in batches)))
        return step(self, batches, rows, *arguments)

    monkeypatch.setattr(Learner, "step", spied)
    whole = make("whole", *ONE_EACH, *SYNC, "SOLVER.MAX_EPOCH", "1").run()
    record = next(record for record in log(tmp_path / "whole") if record["kind"] == "epoch")
    assert record["skipped"] == 0 and record["failed"] >= 1
    assert all(2 <= count <= 4 and normalized for count, normalized in steps)
    assert min(count for count, _ in steps) < 4
    with killed(monkeypatch, lambda trainer: trainer.step == 1):
        make("parts", *ONE_EACH, *SYNC, "SOLVER.MAX_EPOCH", "1", "TRAIN.CHECKPOINT_STEPS", "1").run()
    assert_same_training(make("parts", *ONE_EACH, *SYNC, "SOLVER.MAX_EPOCH", "1").run(), whole)


def test_a_step_without_any_readable_clip_is_skipped(make, unreadable, tmp_path):
    unreadable(*range(5))
    make("run", "TRAIN.BATCH_SIZE", "1", "TRAIN.MAX_FAILED_SHARE", "1.0", "SOLVER.MAX_EPOCH", "1").run()
    record = next(record for record in log(tmp_path / "run") if record["kind"] == "epoch")
    assert record["skipped"] == record["failed"] == 5


def _train_with_unreadable(rank, arguments):
    read = ActionDataset._sample

    def sample(self, epoch, index, clip):
        return read(self, epoch, index, UserError("damaged") if index in (1, 2) else clip)

    ActionDataset._sample = sample
    return str(Trainer(load_cfg(None, arguments)).run())


@pytest.mark.parametrize("norms", ["batchnorm", "sync_batchnorm"])
def test_processes_with_different_numbers_of_readable_clips_stay_together(tiny, tmp_path, norms):
    arguments = [*tiny, *ONE_EACH, "OUTPUT_DIR", str(tmp_path), "BN.NORM_TYPE", norms, "SOLVER.MAX_EPOCH", "1"]
    arguments += ["TRAIN.ACCUMULATION_STEPS", "2"]
    path, _ = in_processes(_train_with_unreadable, arguments)
    state = torch.load(path, weights_only=True)["model_state"]
    assert all(tensor.isfinite().all() for tensor in state.values())
    record = next(record for record in log(tmp_path) if record["kind"] == "epoch")
    assert record["failed"] >= 1 and record["skipped"] == 0


def test_float16_with_a_skipped_step_keeps_training(make, poisoned, tmp_path):
    overrides = ["TRAIN.MIXED_PRECISION", "True", "TRAIN.MIXED_PRECISION_DTYPE", "float16", "TRAIN.ON_NAN", "skip"]
    trainer = make("run", *overrides)
    poisoned(trainer, "backbone.s3.pathway0_res0.branch2.a", [1])
    scale = trainer.learner.scaler.get_scale()
    state = torch.load(trainer.run(), weights_only=True)
    assert [record["skipped"] for record in log(tmp_path / "run") if record["kind"] == "epoch"] == [1, 0]
    assert all(tensor.isfinite().all() for tensor in state["model_state"].values())
    assert 1 < state["scaler_state"]["scale"] <= scale


def test_resuming_with_changed_hyperparameters_applies_and_logs_them(make, tmp_path, weights, caplog):
    caplog.set_level("INFO")
    shutil.copytree(weights.parent, tmp_path / "run" / "checkpoints")
    trainer = make("run", "SOLVER.WEIGHT_DECAY", "0.3", "SOLVER.BASE_LR", "0.05", "SOLVER.MAX_EPOCH", "3")
    assert trainer.learner.optimizer.param_groups[0]["weight_decay"] == 0.3
    assert len(trainer.learner.optimizer.state) > 0
    assert "SOLVER.BASE_LR 0.01 -> 0.05" in caplog.text and "SOLVER.WEIGHT_DECAY 1e-07 -> 0.3" in caplog.text


def test_resuming_with_another_dataset_is_refused_and_with_a_moved_one_is_not(make, scenes, tmp_path, weights):
    for name in ("moved", "shorter"):
        shutil.copytree(scenes, tmp_path / name)
        shutil.copytree(weights.parent, tmp_path / f"run_{name}" / "checkpoints")
    make("run_moved", "DATA.ROOT", str(tmp_path / "moved"))
    table = tmp_path / "shorter" / "annotations" / "train.csv"
    table.write_text("".join(line for line in table.open() if not line.startswith("train_0001")))
    with pytest.raises(UserError, match=r"learned from other data: .* samples, .* then, .* samples, .* now"):
        make("run_shorter", "DATA.ROOT", str(tmp_path / "shorter"))


def test_staged_unfreezing_resumes_with_fresh_state_for_what_is_newly_learned(make, weights, tmp_path):
    start = ["TRAIN.CHECKPOINT_FILE_PATH", str(weights), "SOLVER.OPTIMIZING_METHOD", "adamw"]
    first = torch.load(make("run", *start, "MODEL.FREEZE_AT", "3", "SOLVER.MAX_EPOCH", "1").run(), weights_only=True)
    trainer = make("run", *start, "MODEL.FREEZE_AT", "1")
    optimizer, parameters = trainer.learner.optimizer, dict(trainer.model.named_parameters())
    kept, new = "backbone.s5.pathway0_res0.branch2.a.weight", "backbone.s2.pathway0_res0.branch2.a.weight"
    saved = first["optimizer_state"]["state"][first["optimizer_names"].index(kept)]
    assert torch.equal(optimizer.state[parameters[kept]]["exp_avg"], saved["exp_avg"])
    assert new not in first["optimizer_names"] and parameters[new] not in optimizer.state
    trainer.run()
    assert parameters[new] in optimizer.state


def test_a_checkpoint_without_optimizer_names_resumes_only_with_as_many_parameters(make, weights, tmp_path):
    checkpoint = torch.load(weights, weights_only=True)
    del checkpoint["optimizer_names"]
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(checkpoint, folder / weights.name)
    trainer = make("run")
    name = "backbone.s5.pathway0_res0.branch2.a.weight"
    number = parameter_names(trainer.model, trainer.learner.optimizer).index(name)
    state = trainer.learner.optimizer.state[dict(trainer.model.named_parameters())[name]]
    assert torch.equal(state["exp_avg"], checkpoint["optimizer_state"]["state"][number]["exp_avg"])
    with pytest.raises(UserError, match=r"holds optimizer state of \d+ unnamed parameters, but \d+ are learned now"):
        make("run", "MODEL.FREEZE_AT", "2")


def test_frozen_norms_that_were_not_loaded_learn(make, weights, tmp_path, caplog):
    visual = make("visual", "MODEL.MODEL_NAME", "SlowFast", "SOLVER.MAX_EPOCH", "1").run()
    overrides = ["MODEL.FROZEN_BN", "True", "TRAIN.CHECKPOINT_FILE_PATH", str(visual), "SOLVER.MAX_EPOCH", "1"]

    def frozen(trainer):
        norms = {n: m.frozen for n, m in trainer.model.named_modules() if isinstance(m, BatchNorm3d)}
        return {name for name, is_frozen in norms.items() if is_frozen}, set(norms)

    one = make("run", *overrides)
    kept, every = frozen(one)
    assert {name for name in every if "pathway2" in name or "a2fs" in name} == every - kept
    assert f"{len(every - kept)} normalization layers were not loaded and are not frozen" in caplog.text
    state = torch.load(one.run(), weights_only=True)["model_state"]
    assert state["s2.pathway2_res0.branch2.t_bn.running_mean"].abs().sum() > 0
    assert (
        state["s2.pathway0_res0.branch2.a_bn.num_batches_tracked"]
        == torch.load(visual, weights_only=True)["model_state"]["s2.pathway0_res0.branch2.a_bn.num_batches_tracked"]
    )
    assert frozen(make("run", *overrides, "SOLVER.MAX_EPOCH", "2"))[0] == kept
