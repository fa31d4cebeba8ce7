"""What a training run tells of itself: `log.jsonl`, TensorBoard."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from avsf_det.engine import distributed
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
    - "eval": "mAP" at IoU 0.5.

    Args:
        output: the run's folder.
        step: where the run goes on; what was recorded after it is dropped, for it will be done again.
        tensorboard: whether to write TensorBoard's files too, in `output/tensorboard`.
    """

    def __init__(self, output: Path, step: int = 0, tensorboard: bool = True) -> None:
        self.path = output / "log.jsonl"
        self.records = [record for record in read_log(self.path) if record["step"] <= step]
        with written_whole(self.path) as unfinished:
            unfinished.write_text("".join(f"{json.dumps(record)}\n" for record in self.records), encoding="utf-8")
        self._writer = _summary_writer(output / "tensorboard", step) if tensorboard else None

    def write(self, kind: str, step: int, epoch: float, **values: float) -> None:
        """Add a record."""
        record = {"kind": kind, "step": step, "epoch": epoch, **values}
        self.records.append(record)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)
            self._writer.flush()

    def picture(self, name: str, step: int, image: np.ndarray) -> None:
        """Show a picture (H, W, 3) uint8 in TensorBoard."""
        if self._writer:
            self._writer.add_image(name, image, step, dataformats="HWC")

    def evaluated(self, step: int) -> bool:
        """Whether the mAP after that step is known."""
        return any(record["kind"] == "eval" and record["step"] == step for record in self.records)

    def best_mAP(self) -> float:
        """The highest mAP so far, below 0 if there is none."""
        return max((record["mAP"] for record in self.records if record["kind"] == "eval"), default=-1.0)

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
        return means | {"failed": int(sums["failed"]), "skipped": int(sums["steps"] - sums["learned"])}


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
