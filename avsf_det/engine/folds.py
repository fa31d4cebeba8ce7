"""UCF101's and HMDB51's three divisions into training and test: one model for each, and the mean of what they reach."""

from __future__ import annotations

import json
import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.classification.ucf101 import FOLDS, HMDB51, UCF101
from avsf_det.engine.checkpoints import CheckpointFolder
from avsf_det.engine.evaluate_clips import ClipResult, evaluate_clip_weights
from avsf_det.engine.train import Trainer
from avsf_det.errors import UserError
from detectors.files import write_whole

logger = logging.getLogger(__name__)

ALL = 0
"""What DATA.FOLD says for all of them."""


@dataclass(frozen=True)
class FoldsResult:
    """What evaluation gives in each division.

    Attributes:
        results: number of the division, from 1 on -> what its own model reaches on its test list.
    """

    results: Mapping[int, ClipResult]

    @property
    def failed(self) -> list[str]:
        """What is wrong with each clip that was not scored."""
        return [message for result in self.results.values() for message in result.failed]

    def summary(self) -> dict[str, dict[str, object]]:
        """Of each measure the values in percent, "folds", their "mean", and "std", the standard deviation (n - 1)."""
        rows = {}
        for name in next(iter(self.results.values())).measures:
            values = [result.measures[name] for result in self.results.values()]
            rows[name] = {"folds": values, "mean": statistics.fmean(values), "std": statistics.stdev(values)}
        return rows

    def table(self) -> str:
        """The same as text, one measure a line."""
        rows = self.summary()
        width = max(map(len, rows))
        lines = [" " * width + "".join(f"  fold {fold}" for fold in self.results) + "    mean"]
        for name, row in rows.items():
            values = "".join(f"  {value:6.2f}" for value in row["folds"])
            lines.append(f"{name:<{width}}{values}  {row['mean']:6.2f} ± {row['std']:.2f}")
        return "\n".join(lines)


def train_folds(cfg: CfgNode) -> FoldsResult | None:
    """Train a model on each division, then evaluate each on its test list; killed, the same command goes on.

    They are in `fold_1` to `fold_3` of OUTPUT_DIR, each as a run of its own. The last epoch's weights are evaluated and
    not the best, for those would be chosen by the list that they are tested on.

    Args:
        cfg: the configuration, whose DATA.FOLD is 0.

    Returns:
        The result; None in all but the main process of a group.

    Raises:
        UserError: if the dataset has no such divisions, or as `Trainer` and `evaluate_clip_weights`.
        Stopped: as `Trainer.run`.
    """
    run = Path(cfg.OUTPUT_DIR)
    divisions = [cfg.clone() for _ in range(FOLDS)]
    for fold, own in enumerate(divisions, 1):
        own.DATA.FOLD, own.OUTPUT_DIR = fold, str(_folder(run, fold))
        _check(own)
    for own in divisions:
        logger.info("fold %d of %d", own.DATA.FOLD, FOLDS)
        Trainer(own).run()
    overrides = ["DATA.ROOT", cfg.DATA.ROOT, "DATA.PATH_PREFIX", cfg.DATA.PATH_PREFIX, "DEVICE", cfg.DEVICE]
    overrides += ["TEST.BATCH_SIZE", str(cfg.TEST.BATCH_SIZE), "TRAIN.NUM_WORKERS", str(cfg.TRAIN.NUM_WORKERS)]
    return evaluate_folds(run, [*overrides, "TRAIN.MAX_FAILED_SHARE", str(cfg.TRAIN.MAX_FAILED_SHARE)])


def has_folds(weights: str | Path) -> bool:
    """Whether what is given as weights is the folder of a run on all divisions."""
    return _folder(Path(weights), 1).is_dir()


def evaluate_folds(run: str | Path, overrides: Sequence[str] = (), use_audio: bool = True) -> FoldsResult | None:
    """Evaluate the models that `train_folds` left, each on the test list of its own division.

    The results of each are written to its folder, or that of the same name in OUTPUT_DIR, and all of them to
    `folds.json`, `folds_silent.json` without sound, beside these folders.

    Args:
        run: the OUTPUT_DIR of that run.
        overrides: KEY VALUE KEY VALUE ... that change the models' configurations.
        use_audio: False evaluates as if nothing were to be heard.

    Returns:
        The result; None in all but the main process of a group.

    Raises:
        UserError: if a division has no model, or as `evaluate_clip_weights`.
    """
    run = Path(run)
    given = dict(zip(overrides[::2], overrides[1::2]))
    if given.get("DATA.FOLD", str(ALL)) != str(ALL):
        raise UserError(
            f"DATA.FOLD {given['DATA.FOLD']}: {run} has a model for each; for one give its own checkpoint, such as "
            f"{_folder(run, 1) / 'checkpoints'}/best.pyth"
        )
    output = Path(given.get("OUTPUT_DIR", run))
    weights = distributed.from_main(_newest(run) if distributed.is_main() else None)  # which may only now be written
    missing = [fold for fold, path in weights.items() if path is None]
    if missing:
        raise UserError(
            f"no checkpoint in {_folder(run, missing[0]) / 'checkpoints'}; expected one of each division, as a run "
            f"with DATA.FOLD {ALL} leaves them"
        )
    results = {}
    for fold, path in weights.items():
        own = ["DATA.FOLD", str(fold), "OUTPUT_DIR", str(_folder(output, fold))]
        results[fold] = evaluate_clip_weights(path, [*overrides, *own], use_audio)
    if None in results.values():
        return None
    result = FoldsResult(results)
    content = {**result.summary(), "weights": [str(path) for path in weights.values()], "failed": len(result.failed)}
    write_whole(output / f"folds{'' if use_audio else '_silent'}.json", (json.dumps(content, indent=2) + "\n").encode())
    return result


def _check(cfg: CfgNode) -> None:
    """See that a division's lists are there, before anything is trained."""
    layout = None if cfg.DETECTION.ENABLE else ClipFolder.from_config(cfg).layout
    if not isinstance(layout, UCF101 | HMDB51):
        got = "DETECTION.ENABLE True" if layout is None else f"{cfg.DATA.ROOT}, which has none"
        raise UserError(
            f"DATA.FOLD {ALL} is for the three divisions of UCF101 and HMDB51: got {got}; leave DATA.FOLD out, or take "
            "--config ucf101/avslowfast_4x16_r50 or hmdb51/avslowfast_4x16_r50"
        )
    for split in (cfg.DATA.TRAIN_SPLIT, cfg.DATA.EVAL_SPLIT):
        layout.path(split)


def _newest(run: Path) -> dict[int, Path | None]:
    return {fold: CheckpointFolder(_folder(run, fold)).newest() for fold in range(1, FOLDS + 1)}


def _folder(run: Path, fold: int) -> Path:
    return run / f"fold_{fold}"
