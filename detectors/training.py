"""Fine-tune a Detectron2 detector on the persons of a dataset, in one process or in several that `torchrun` starts."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from avsf_det import distributed
from avsf_det.errors import UserError
from avsf_det.models.checkpoint import save_checkpoint
from avsf_det.structures import Persons
from detectors.coco_eval import measure
from detectors.detectron import DetectronDetector, require_detectron2
from detectors.files import write_whole
from detectors.keyframes import PersonKeyframes
from detectors.pictures import PictureFiles, Records
from detectors.stream import batches

logger = logging.getLogger(__name__)

LOG_PERIOD = 20  # batches between lines of the log
IN_MEMORY = 64  # keyframes that are read at once when evaluating


def train_detector(
    config: str | Path,
    train: PersonKeyframes,
    output_dir: str | Path,
    overrides: Sequence[str] = (),
    val: PersonKeyframes | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Path:
    """Train a Detectron2 network on the persons of keyframes; return its weights, `output_dir/model_final.pth`.

    The schedule is the configuration's: SOLVER.MAX_ITER batches of SOLVER.IMS_PER_BATCH keyframes over all processes,
    and a checkpoint every SOLVER.CHECKPOINT_PERIOD batches. With keyframes to evaluate on, AP is measured every
    TEST.EVAL_PERIOD batches and at the end, and the best weights stay in `output_dir/model_best.pth`. With another
    number of processes than SOLVER.REFERENCE_WORLD_SIZE, batches, learning rate and schedule are scaled by Detectron2's
    rule (`DefaultTrainer.auto_scale_workers`).

    On CPUs the same seed and number of processes give the same weights, whether training was interrupted and resumed
    or not. Weights carry their configuration, which is also written to `output_dir/config.yaml`; losses and AP are
    written to `output_dir/log.jsonl`. The keyframes are kept as pictures in `cache_folder()`.

    Args:
        config: a configuration as `DetectronDetector` takes it; training starts from its MODEL.WEIGHTS.
        train: keyframes to learn from, with their videos; those without persons only if the configuration's
            DATALOADER.FILTER_EMPTY_ANNOTATIONS is False.
        output_dir: made if need be.
        overrides: KEY VALUE KEY VALUE ... of the configuration.
        val: keyframes to evaluate on, with their videos.
        resume: go on from `output_dir/checkpoint.pth` if it is there.
        seed: of weights, order and augmentation.
        device: a torch device; without it, this process's GPU if there is one.

    Raises:
        UserError: if something is wrong with the configuration, the weights, the videos or the output folder, or if
            training diverges.
    """
    require_detectron2()
    from detectors.detectron_model import load_config, persons_only

    cfg = load_config(config, overrides)
    persons_only(cfg)
    cfg.SEED = seed
    cfg = _scaled(cfg, distributed.world_size())
    trainer = _Trainer(
        cfg, Path(output_dir), torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")), resume
    )
    rows = np.flatnonzero(train.counts) if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS else np.arange(len(train))
    return trainer.run(_records(train, rows), _records(val, np.arange(len(val))) if val is not None else None)


class _Trainer:
    """One training run in a folder."""

    def __init__(self, cfg: Any, output: Path, device: torch.device, resume: bool) -> None:
        from detectron2.solver import build_lr_scheduler, build_optimizer

        from detectors.detectron_model import build_network, find_weights, load_weights

        self._cfg, self._text, self._output, self._device = cfg, cfg.dump(), output, device
        self._log = output / "log.jsonl"
        torch.manual_seed(cfg.SEED)
        self._network = build_network(cfg, str(device)).train()
        if cfg.MODEL.WEIGHTS:
            fresh = load_weights(self._network, find_weights(cfg.MODEL.WEIGHTS), whole=False)
            some = ", ".join(fresh[:5]) + (", …" if fresh[5:] else "")
            _say("weights of %s; %s", cfg.MODEL.WEIGHTS, f"random are {len(fresh)}: {some}" if fresh else "all of them")
        optimizer = build_optimizer(cfg, self._network)
        try:
            scheduler = build_lr_scheduler(cfg, optimizer)
        except ValueError as error:
            raise UserError(f"SOLVER.STEPS {cfg.SOLVER.STEPS} and MAX_ITER {cfg.SOLVER.MAX_ITER}: {error}") from None
        self._amp = cfg.SOLVER.AMP.ENABLED
        self._parts = {
            "model": self._network,
            "optimizer": optimizer,
            "scheduler": scheduler,
            "scaler": torch.amp.GradScaler(device.type, enabled=self._amp and device.type == "cuda"),
        }
        self._start, self._best = self._resume(output / "checkpoint.pth") if resume else (0, -1.0)
        if distributed.rank() == 0:
            write_whole(output / "config.yaml", self._text.encode())
            self._shorten_log()

    def run(self, train: Records, val: Records | None) -> Path:
        """Train to the end; the final weights' path."""
        from detectron2.utils.events import EventStorage

        cfg, solver = self._cfg, self._cfg.SOLVER
        network = self._network
        if distributed.world_size() > 1:
            ids = [self._device.index] if self._device.type == "cuda" else None
            network = torch.nn.parallel.DistributedDataParallel(network, ids)
        total, world, rank = solver.MAX_ITER, distributed.world_size(), distributed.rank()
        loader = batches(cfg, train, self._start, cfg.SEED)
        bar = tqdm(loader, "train", total, initial=self._start, unit="batch", disable=True if rank else None)
        since, waited, left = time.monotonic(), 0.0, time.monotonic()
        with EventStorage(self._start) as storage, bar:
            for iteration, batch in enumerate(bar, self._start + 1):
                waited += time.monotonic() - left
                # what the network samples, also after a resume
                torch.manual_seed((cfg.SEED * total + iteration) * world + rank)
                losses = self._step(network, batch, iteration)
                storage.step()
                bar.set_postfix(loss=f"{losses['loss']:.3f}", refresh=False)
                last = iteration == total
                if iteration % LOG_PERIOD == 0 or last:
                    seconds = time.monotonic() - since
                    lr = self._parts["optimizer"].param_groups[0]["lr"]
                    self._write_log(
                        {"iteration": iteration, **losses, "lr": lr, "seconds": seconds, "data_seconds": waited}
                    )
                    since, waited = time.monotonic(), 0.0
                if val is not None and (last or iteration % (cfg.TEST.EVAL_PERIOD or total) == 0):
                    self._evaluate(val, iteration)
                    since = time.monotonic()
                if iteration % solver.CHECKPOINT_PERIOD == 0 or last:
                    self._save("checkpoint.pth", iteration)
                left = time.monotonic()
        return self._save("model_final.pth")

    def _step(self, network: torch.nn.Module, batch: list[dict], iteration: int) -> dict[str, float]:
        """Learn from one batch; "loss", the mean over all processes, and of what it is the sum in this one."""
        optimizer, scaler = self._parts["optimizer"], self._parts["scaler"]
        with torch.autocast(self._device.type, enabled=self._amp):
            try:
                parts = network(batch)
            except FloatingPointError:  # Detectron2 met a box that is not finite
                parts = {"loss_rpn_loc": torch.tensor(math.nan, device=self._device)}
            loss = sum(parts.values())
        mean = loss.detach().float() / distributed.world_size()
        if distributed.world_size() > 1:
            torch.distributed.all_reduce(mean)
        if not mean.isfinite():
            pictures = ", ".join(picture["file_name"] for picture in batch)
            raise UserError(
                f"training diverged at batch {iteration}: lower SOLVER.BASE_LR ({self._cfg.SOLVER.BASE_LR:g}), or look "
                f"at {pictures}; the last checkpoint is {self._output / 'checkpoint.pth'}"
            )
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        self._parts["scheduler"].step()
        return {"loss": mean.item(), **{name: part.item() for name, part in parts.items()}}

    def _evaluate(self, val: Records, iteration: int) -> None:
        """Log AP on validation keyframes, of which each process looks at its share; keep the best AP50's weights."""
        if distributed.world_size() > 1:
            for buffer in self._network.buffers():  # the running statistics of norms are each process's own
                torch.distributed.broadcast(buffer, 0)
        detector = DetectronDetector.of_network(self._cfg, self._network)
        mine = range(distributed.rank(), len(val), distributed.world_size())
        found: list[Persons] = []
        for start in range(0, len(mine), IN_MEMORY):
            found += detector.detect([val.picture(number) for number in mine[start : start + IN_MEMORY]])
        self._network.train()
        shares = distributed.gather(found)
        if distributed.rank() == 0:
            ordered = [shares[number % len(shares)][number // len(shares)] for number in range(len(val))]
            metrics = measure([val.persons(number) for number in range(len(val))], ordered).metrics
            self._write_log({"iteration": iteration, "AP": metrics["AP"], "AP50": metrics["AP50"]})
            _say("batch %d: AP50 %.4f on %d keyframes", iteration, metrics["AP50"], len(val))
            if metrics["AP50"] > self._best:
                self._best = metrics["AP50"]
                self._save("model_best.pth")

    def _save(self, name: str, iteration: int | None = None) -> Path:
        """Write the weights, or with an iteration all that resuming needs."""
        path = self._output / name
        if distributed.rank() == 0:
            content = {"model": self._network.state_dict()}
            if iteration is not None:
                content = {part: of.state_dict() for part, of in self._parts.items()}
                content |= {"iteration": iteration, "best": self._best}
            save_checkpoint(path, {**content, "config": self._text})
        return path

    def _resume(self, path: Path) -> tuple[int, float]:
        """Put a checkpoint's states into the parts; how many batches it has seen and its best AP50, if it is there."""
        from detectors.detectron_model import read_checkpoint

        if not path.is_file():
            return 0, -1.0
        checkpoint = read_checkpoint(path)
        if checkpoint["config"] != self._text:
            raise UserError(
                f"{path} was trained with another configuration, seed or number of processes; choose another folder, "
                "or do not resume"
            )
        for name, part in self._parts.items():
            part.load_state_dict(checkpoint[name])
        _say("going on after batch %d from %s", checkpoint["iteration"], path)
        return checkpoint["iteration"], checkpoint["best"]

    def _write_log(self, record: dict[str, float]) -> None:
        if distributed.rank() == 0:
            with open(self._log, "a", encoding="utf-8") as log:
                log.write(json.dumps({name: _rounded(value) for name, value in record.items()}) + "\n")

    def _shorten_log(self) -> None:
        """Drop what was logged after the checkpoint that training goes on from."""
        lines = self._log.read_text(encoding="utf-8").splitlines(True) if self._log.is_file() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["iteration"] <= self._start]
        write_whole(self._log, "".join(kept).encode())


def _scaled(cfg: Any, processes: int) -> Any:
    """The configuration for so many processes, by SOLVER.REFERENCE_WORLD_SIZE; what changes is said."""
    from detectron2.engine import DefaultTrainer

    before = cfg.SOLVER
    cfg = DefaultTrainer.auto_scale_workers(cfg.clone(), processes)
    after = cfg.SOLVER
    if after.REFERENCE_WORLD_SIZE != before.REFERENCE_WORLD_SIZE:
        _say(
            "for %d processes instead of %d: batches of %d (%d), learning rate %g (%g), %d batches (%d)",
            processes, before.REFERENCE_WORLD_SIZE, after.IMS_PER_BATCH, before.IMS_PER_BATCH,
            after.BASE_LR, before.BASE_LR, after.MAX_ITER, before.MAX_ITER,
        )  # fmt: skip
    if after.IMS_PER_BATCH % processes:
        raise UserError(
            f"SOLVER.IMS_PER_BATCH is {after.IMS_PER_BATCH}, expected a multiple of the {processes} processes"
        )
    return cfg


def _records(keyframes: PersonKeyframes, rows: Sequence[int]) -> Records:
    """Those of the keyframes whose pictures can be had; the first process of each machine decodes them."""
    files = PictureFiles(keyframes)
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        files.make(rows)
    distributed.gather(None)  # wait
    missing = set(files.missing(rows))
    if not len(rows) or len(missing) == len(rows):
        raise UserError(f"none of the {len(keyframes)} keyframes has a person and a video that can be read")
    return Records(keyframes, files, [row for row in rows if row not in missing])


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _say(message: str, *values: object) -> None:
    if distributed.rank() == 0:
        logger.info(message, *values)
