"""What a training run tells of itself: `log.jsonl`, TensorBoard."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avsf_det import distributed
from avsf_det.files import written_whole

logger = logging.getLogger(__name__)

LEARNED = ("loss", "avs_loss", "lr", "grad_norm")  # means over the steps that learned
TIMES = ("data_seconds", "compute_seconds")  # means over all steps


class TrainingLog:
    """Records of a training run, one JSON object a line of `log.jsonl`, and the same as curves of TensorBoard.

    Every record has "step", the batches learned from so far, and "epoch", a fraction within an epoch. "kind" is

    - "train": means over the steps since the record before: "loss", "avs_loss", "lr", "grad_norm"; "data_seconds" and
      "compute_seconds", waiting for clips and learning from them; counts: "failed", clips left out because they cannot
      be read, and "skipped", steps without a finite gradient; "gpu_memory_gb", the peak;
    - "epoch": the same over an epoch;
    - "eval": the measures of the task, such as "mAP" at IoU 0.5.

    Each process has one, to which it tells its steps; the main one writes.

    Args:
        output: the run's folder.
        steps_per_epoch: steps of an epoch.
        step: where the run goes on; what was recorded after it is dropped, for it will be done again.
        meters: what `state` returned there.
        period: steps between "train" records.
        tensorboard: whether to write TensorBoard's files too, in `output/tensorboard`.
    """

    def __init__(
        self,
        output: Path,
        steps_per_epoch: int,
        step: int = 0,
        meters: Mapping[str, Mapping[str, float]] | None = None,
        period: int = 10,
        tensorboard: bool = True,
    ) -> None:
        self.path, self._steps_per_epoch, self._period = output / "log.jsonl", steps_per_epoch, period
        self._meters = {name: Meter((meters or {}).get(name)) for name in ("train", "epoch")}
        self._records, self._writer = [], None
        if distributed.is_main():
            self._records = [record for record in read_log(self.path) if record["step"] <= step]
            with written_whole(self.path) as unfinished:
                unfinished.write_text("".join(f"{json.dumps(record)}\n" for record in self._records), encoding="utf-8")
            self._writer = _summary_writer(output / "tensorboard", step) if tensorboard else None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Tell what a step gave."""
        for meter in self._meters.values():
            meter.add(values)
        if step % self._period == 0:
            self.record("train", step)

    def record(self, name: str, step: int) -> None:
        """Record what a meter, "train" or "epoch", has gathered over all processes, and empty it."""
        means = self._meters[name].means()
        self._meters[name] = Meter()
        self.write(name, step, means)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Write a record."""
        if not distributed.is_main():
            return
        record = {"kind": kind, "step": step, "epoch": step / self._steps_per_epoch, **values}
        self._records.append(record)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)
            self._writer.flush()

    def draw_curves(self, path: Path, measure: str) -> None:
        """Write a picture of all that is recorded, of evaluations a measure."""
        from avsf_det.visual.curves import draw_curves

        if distributed.is_main():
            draw_curves(path, self._records, measure)

    def picture(self, name: str, step: int, image: np.ndarray | None) -> None:
        """Show a picture (H, W, 3) uint8, if there is one, in TensorBoard."""
        if self._writer and image is not None:
            self._writer.add_image(name, image, step, dataformats="HWC")

    def state(self) -> dict[str, dict[str, float]]:
        """What a checkpoint keeps of it: sums that are not recorded yet."""
        return {name: dict(meter.sums) for name, meter in self._meters.items()}

    def failed_of(self) -> tuple[int, int]:
        """How many clips of this epoch could not be read, of how many, in all processes."""
        sums = self._meters["epoch"].sums
        return int(sums["failed"]), int(sums["failed"] + sums["clips"])

    def evaluated(self, step: int) -> bool:
        """Whether the mAP after that step is known; all processes are told what the main one knows."""
        known = any(record["kind"] == "eval" and record["step"] == step for record in self._records)
        return distributed.from_main(known)

    def best(self, measure: str) -> float:
        """The highest value of a measure so far, below 0 if there is none; all processes are told."""
        known = [record.get(measure, math.nan) for record in self._records if record["kind"] == "eval"]
        return distributed.from_main(max((value for value in known if not math.isnan(value)), default=-1.0))

    def close(self) -> None:
        """Write what is still to be written."""
        if self._writer:
            self._writer.close()


class Meter:
    """Sums of what steps gave.

    Args:
        sums: to start from.
    """

    def __init__(self, sums: Mapping[str, float] | None = None) -> None:
        self.sums = Counter(sums)

    def add(self, values: Mapping[str, float]) -> None:
        """Add a step's values; one that was skipped has no "loss"."""
        self.sums.update({**values, "steps": 1, "learned": int("loss" in values)})

    def means(self) -> dict[str, float]:
        """What `TrainingLog` tells of them, over all processes."""
        sums, learned = self.sums, self.sums["learned"] or 1
        everyone = distributed.gather(dict(sums))
        means = {name: sum(one[name] for one in everyone) / len(everyone) / learned for name in LEARNED if name in sums}
        means |= {name: sums[name] / (sums["steps"] or 1) for name in TIMES}
        means |= {"failed": int(sums["failed"]), "skipped": int(sums["steps"] - sums["learned"])}
        if torch.cuda.is_initialized():
            means["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        return means


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a `log.jsonl`, without a last line that was cut off."""
    if not path.is_file():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and {"kind", "step", "epoch"} <= record.keys():
                yield record


def _summary_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning("TensorBoard is not installed (pip install tensorboard); the same numbers are in log.jsonl")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
