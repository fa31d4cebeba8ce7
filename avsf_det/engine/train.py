"""Training of an action model; killed at any moment, the same command goes on.

One process, several GPUs, several machines: the same command, started by `torchrun` (docs/training.md has the lines).
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm
from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.data.batch import Batch
from avsf_det.engine.checkpoint_config import checkpoint_cfg
from avsf_det.engine.checkpoints import CheckpointFolder, check_resume_compatible, check_same_content, transferable
from avsf_det.engine.device import choose_device, generator_states, seed_everything, set_generator_states
from avsf_det.engine.learner import Learner, NotFinite
from avsf_det.engine.log import TrainingLog
from avsf_det.engine.output import make_output, set_aside
from avsf_det.engine.precise_bn import update_running_statistics
from avsf_det.engine.schedule import describe_schedule, lr_at
from avsf_det.engine.stop import Stopped, StopSignals
from avsf_det.engine.task import open_task
from avsf_det.engine.training_data import check_failed
from avsf_det.errors import UserError
from avsf_det.models.checkpoint import load_own_weights, load_weights, save_checkpoint
from avsf_det.models.importers import OURS, read_weights

logger = logging.getLogger(__name__)

MANY_CLIPS = 100  # from so many on, the share of unreadable ones tells something
MANY_SKIPPED = 20  # steps in a row without a finite gradient


class Trainer:
    """One training run in a configuration's OUTPUT_DIR; each process of a group makes one.

    Args:
        cfg: the configuration, which is completed by what follows from the dataset, such as MODEL.NUM_CLASSES.

    Raises:
        UserError: for anything wrong with the dataset, the weights to start from or the output folder.
    """

    def __init__(self, cfg: CfgNode) -> None:
        if cfg.TRAIN.ON_NAN not in ("stop", "skip"):
            raise UserError(f"TRAIN.ON_NAN: got {cfg.TRAIN.ON_NAN!r}, expected stop or skip")
        self.task = open_task(cfg)
        self.output = make_output(cfg.OUTPUT_DIR, "OUTPUT_DIR")
        self.checkpoints = CheckpointFolder(self.output, cfg.TRAIN.KEEP_CHECKPOINTS)
        resumed = self.checkpoints.load_newest() if cfg.TRAIN.AUTO_RESUME else None
        self.loader = self.task.prepare(resumed and checkpoint_cfg(resumed[1], resumed[0]))
        self.content = self.loader.content()
        self.cfg = cfg
        self.device = choose_device(cfg.DEVICE)
        self.steps_per_epoch = max(len(self.loader) // self.task.batches_per_step, 1)
        self.epoch, self.epoch_step, self.skipped = 0, 0, 0
        self._log_sums = None
        self.saved_at = time.monotonic()
        seed_everything(cfg.RNG_SEED)
        self.learner = Learner(cfg, self.device, self.task.criterion(), lambda model: self._fill(model, resumed))
        if resumed:
            self._go_on(*resumed)
        else:
            self._begin()
        self.log = TrainingLog(
            self.output, self.steps_per_epoch, self.step, self._log_sums, cfg.LOG_PERIOD, cfg.TENSORBOARD.ENABLE
        )

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.learner.model

    @property
    def step(self) -> int:
        """How many batches were learned from."""
        return self.epoch * self.steps_per_epoch + self.epoch_step

    def _fill(self, model: nn.Module, resumed: tuple[Path, dict[str, Any]] | None) -> Collection[str]:
        """Give a model its first weights; the names of the tensors that may be frozen."""
        if resumed:
            path, checkpoint = resumed
            check_resume_compatible(checkpoint, path, checkpoint_cfg(checkpoint, path), self.cfg)
            self.task.check_classes(checkpoint, path)
            check_same_content(checkpoint, path, self.content, self.cfg.DATA.ROOT)
            load_own_weights(model, checkpoint["model_state"], path)
            return checkpoint["model_state"].keys() - set(checkpoint.get("thawed", ()))
        if self.cfg.TRAIN.CHECKPOINT_FILE_PATH:
            weights = read_weights(self.cfg.TRAIN.CHECKPOINT_FILE_PATH)
            report = load_weights(model, transferable(weights))
            logger.info("%s, %s: %s", self.cfg.TRAIN.CHECKPOINT_FILE_PATH, weights, report)
            return report.loaded
        if self.cfg.MODEL.FREEZE_AT:
            raise UserError(
                f"MODEL.FREEZE_AT {self.cfg.MODEL.FREEZE_AT} would keep random weights; give weights to start from as "
                "TRAIN.CHECKPOINT_FILE_PATH, or set it to 0"
            )
        if self.cfg.MODEL.DETACH_FINAL_FC:
            logger.warning("MODEL.DETACH_FINAL_FC without TRAIN.CHECKPOINT_FILE_PATH: features are random")
        return ()

    def _begin(self) -> None:
        """Start with the first step; what another run left in the folder is set aside."""
        if distributed.is_main():
            set_aside(self.checkpoints.folder, self.output / "log.jsonl", self.output / "tensorboard")
        torch.manual_seed(self.cfg.RNG_SEED + distributed.rank())

    def _go_on(self, path: Path, checkpoint: dict[str, Any]) -> None:
        """Be where a checkpoint was."""
        self.learner.load_state(checkpoint, path)
        self.epoch, self.epoch_step = checkpoint["epoch"] + 1, checkpoint["epoch_step"]
        processes = checkpoint["processes"]
        if len(processes) == distributed.world_size():
            mine = processes[distributed.rank()]
            self._log_sums = mine["log"]
            set_generator_states(mine["generators"], self.device)
            self.learner.load_statistics(mine["statistics"])
        else:
            torch.manual_seed(self.cfg.RNG_SEED + distributed.rank())
            logger.warning(
                "%s: written by %d processes, now there are %d; training goes on, if not to the same weights",
                path, len(processes), distributed.world_size(),
            )  # fmt: skip
        logger.info("going on after epoch %d, step %d, from %s", self.epoch, self.epoch_step, path)

    def run(self) -> Path:
        """Train until SOLVER.MAX_EPOCH; the last checkpoint's path.

        Raises:
            UserError: if a loss or gradient is no number, or too many clips cannot be read.
            Stopped: if a signal of `stop.ASKING` came; a checkpoint is written before.
        """
        self._introduce()
        main = distributed.is_main()
        total = self.cfg.SOLVER.MAX_EPOCH * self.steps_per_epoch
        bar = tqdm(total=total, initial=self.step, desc="train", unit="step", disable=None if main else True)
        with StopSignals() as self.stop, bar:
            self._evaluate()
            while self.epoch < self.cfg.SOLVER.MAX_EPOCH:
                self._train_epoch(bar)
                self._evaluate()
        self.log.close()
        return self.checkpoints.newest()

    def _introduce(self) -> None:
        cfg, processes = self.cfg, distributed.world_size()
        parameters = sum(p.numel() for p in self.model.parameters())
        logger.info(
            "%d %s, %d classes, %.2f M parameters, on %s x %d",
            len(self.loader.samples), self.task.unit, cfg.MODEL.NUM_CLASSES, parameters / 1e6, self.device, processes,
        )  # fmt: skip
        logger.info(
            "a step: %d clips, %d x %d processes x %d micro-batches; learning rate %s",
            cfg.TRAIN.BATCH_SIZE, self.loader.batch_size, processes, cfg.TRAIN.ACCUMULATION_STEPS,
            describe_schedule(cfg, cfg.TRAIN.BATCH_SIZE),
        )  # fmt: skip

        if cfg.TRAIN.EVAL_PERIOD and not self.task.selects_best:
            logger.info(
                "DATA.EVAL_SPLIT %s is the test list: it chooses no best.pyth; use the last checkpoint",
                cfg.DATA.EVAL_SPLIT,
            )

    def _train_epoch(self, bar: tqdm) -> None:
        """Finish the epoch that is under way."""
        per_step = self.task.batches_per_step
        self.model.train()
        batches = iter(self.loader.epoch(self.epoch, self.epoch_step * per_step))
        while self.epoch_step < self.steps_per_epoch:
            asked = time.monotonic()
            group = list(islice(batches, per_step))
            begun = time.monotonic()
            used = self._usable(group)
            together = self._agree(group, used)
            if together["stop"]:
                self._stop()
            if together["save"]:
                self._save()
            rows = {False: together["boxes"], True: together["labelled"]}
            values = {} if together["empty"] else self._learn(used, rows)
            self.skipped = 0 if "loss" in values else self.skipped + 1
            values |= {"data_seconds": begun - asked, "compute_seconds": time.monotonic() - begun}
            self.epoch_step += 1
            self.log.add(self.step, {**values, "clips": together["clips"], "failed": together["failed"]})
            failed, clips = self.log.failed_of()
            if clips >= MANY_CLIPS or self.epoch_step == self.steps_per_epoch:
                check_failed("clips", failed, clips, self.cfg.TRAIN.MAX_FAILED_SHARE, "see the warnings above")
            if self.skipped == MANY_SKIPPED:
                raise UserError(f"{self.skipped} steps in a row gave nothing to learn from; see the warnings above")
            bar.set_postfix(loss=f"{values.get('loss', float('nan')):.4f}", epoch=self.epoch + 1, refresh=False)
            bar.update()
        self._end_epoch()

    def _usable(self, group: Sequence[Batch]) -> list[Batch]:
        """The micro-batches of a step that this process learns from: those with clips.

        Where forward passes of all processes wait for each other, all run as many of each kind, the minimum.
        """
        used = [batch for batch in group if batch.clips]
        if not self.learner.in_lockstep:
            return used
        kinds = [[batch for batch in used if batch.whole == whole] for whole in (False, True)]
        counts = distributed.gather([len(kind) for kind in kinds])
        return [batch for kind, one in zip(kinds, zip(*counts)) for batch in kind[: min(one)]]

    def _agree(self, group: Sequence[Batch], used: Sequence[Batch]) -> dict[str, float]:
        """What the processes must know of each other before a step: sums over all, and whether any wants to stop.

        Args:
            group: the micro-batches of this process.
            used: those that it learns from.
        """
        period = self.cfg.TRAIN
        due = period.CHECKPOINT_STEPS and self.epoch_step and self.step % period.CHECKPOINT_STEPS == 0
        due |= bool(period.CHECKPOINT_MINUTES and time.monotonic() - self.saved_at >= 60 * period.CHECKPOINT_MINUTES)
        mine = {
            "boxes": sum(len(batch.labels) for batch in used if not batch.whole),
            "labelled": sum(len(batch.labels) for batch in used if batch.whole),
            "clips": sum(len(batch.clips) for batch in group),
            "failed": sum(len(batch.failed) for batch in group),
            "empty": not used,
            "stop": bool(self.stop.signum),
            "save": distributed.is_main() and due,
        }
        together = dict(zip(mine, distributed.add([float(value) for value in mine.values()])))
        if together["failed"]:
            for messages in distributed.gather([message for batch in group for message in batch.failed]):
                for message in messages:
                    logger.warning("skipped a clip: %s", message)
        return together

    def _learn(self, group: Sequence[Batch], rows: Mapping[bool, int]) -> dict[str, float]:
        """Take a step; nothing where it is skipped because its gradient is no number."""
        cfg = self.cfg
        group = [batch.to(self.device) for batch in group]
        statistics = self.learner.statistics() if cfg.TRAIN.ON_NAN == "skip" else None
        lr = lr_at(self.epoch + self.epoch_step / self.steps_per_epoch, cfg, cfg.TRAIN.BATCH_SIZE)
        try:
            return {"lr": lr, **self.learner.step(group, rows, self.epoch, lr)}
        except NotFinite as error:
            why = f"epoch {self.epoch + 1}, step {self.epoch_step + 1}: {error}"
        if statistics is None:
            raise UserError(
                f"{why}; lower SOLVER.BASE_LR (now {cfg.SOLVER.BASE_LR:g}), or leave such steps out with TRAIN.ON_NAN "
                f"skip; last good checkpoint: {self.checkpoints.newest() or 'none yet'}"
            )
        self.learner.load_statistics(statistics)
        logger.warning("a step is left out: %s", why)
        return {}

    def _end_epoch(self) -> None:
        if self.cfg.BN.USE_PRECISE_STATS:
            self._make_statistics_precise()
        self.epoch, self.epoch_step = self.epoch + 1, 0
        self.log.record("epoch", self.step)
        if self.epoch == self.cfg.SOLVER.MAX_EPOCH or self.epoch % self.cfg.TRAIN.CHECKPOINT_PERIOD == 0:
            self._save()

    def _make_statistics_precise(self) -> None:
        """Running statistics of the weights as they are now, from batches of the epoch that is over."""
        batches = islice(self.loader.epoch(self.epoch), self.cfg.BN.NUM_BATCHES_PRECISE)
        # a batch without clips is passed over by all processes: synchronised norms wait for each other
        readable = (batch.to(self.device) for batch in batches if not distributed.add([not batch.clips])[0])
        update_running_statistics(self.learner.model, readable, lambda batch: self.learner.losses(batch, self.epoch))

    def _save(self, best: bool = False) -> None:
        """Write a checkpoint; every process takes part."""
        mine = {
            "generators": generator_states(self.device),
            "statistics": {name: buffer.cpu() for name, buffer in self.learner.statistics().items()},
            "log": self.log.state(),
        }
        checkpoint = {
            "format": OURS,
            "epoch": self.epoch - 1,
            "epoch_step": self.epoch_step,
            **self.learner.state(),
            "processes": distributed.gather(mine),
            "content": self.content,
            "cfg": self.cfg.dump(),
            **self.task.classes(),
        }
        if distributed.is_main():
            if best:
                save_checkpoint(self.checkpoints.best, checkpoint)
            else:
                self.checkpoints.save(checkpoint, self.epoch, self.epoch_step)
        self.saved_at = time.monotonic()

    def _stop(self) -> None:
        if self.step:
            self._save()
        signum = max(distributed.gather(self.stop.signum))
        name, saved = signal.Signals(signum).name, self.checkpoints.newest()
        raise Stopped(
            f"stopped by {name} after step {self.step}; {saved} is saved, and the same command goes on from it", signum
        )

    def _evaluate(self) -> None:
        """See how good the model is where that is due and not known yet, and keep the best weights."""
        cfg = self.cfg
        last = self.epoch == cfg.SOLVER.MAX_EPOCH
        ended = self.epoch and not self.epoch_step
        due = ended and cfg.TRAIN.EVAL_PERIOD and (last or self.epoch % cfg.TRAIN.EVAL_PERIOD == 0)
        if not due or self.log.evaluated(self.step):
            return
        states = generator_states(self.device)
        with self.learner.shared_statistics():
            judgement = self.task.judge(self.learner.whole_model(), self.output, self.epoch, self._heed_stop)
        set_generator_states(states, self.device)
        found, name = distributed.from_main(judgement and judgement.measures), self.task.measure
        better = self.task.selects_best and found[name] > self.log.best(name)
        if better:
            self._save(best=True)
        self.log.write("eval", self.step, found)
        self.log.picture("examples", self.step, judgement and judgement.picture)
        self.log.draw_curves(self.output / "curves.png", name)
        logger.info("epoch %d: %s %.4g%s", self.epoch, name, found[name], ", the best so far" if better else "")

    def _heed_stop(self) -> None:
        """Stop in the middle of evaluation; what was learned is saved already, and the same command evaluates anew."""
        if self.stop.signum:
            raise Stopped(
                f"stopped during evaluation; the same command goes on from {self.checkpoints.newest()}",
                self.stop.signum,
            )
