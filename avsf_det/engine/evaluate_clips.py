"""Evaluation of whole clips: several views of each scored and put together, accuracies or mAP computed."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avsf_det import distributed
from avsf_det.data.batch import Collate
from avsf_det.data.classification.clips import Head, LabelledClips
from avsf_det.data.classification.dataset import ClipViews
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.loader import ViewLoader
from avsf_det.engine.checkpoint_config import require_dataset
from avsf_det.engine.clip_metrics import ViewScores, measures
from avsf_det.engine.clip_predictor import ClipPredictor, check_heads
from avsf_det.engine.output import make_output
from avsf_det.engine.training_data import check_failed, evenly_spread
from avsf_det.errors import UserError
from avsf_det.files import written_whole
from detectors.files import write_whole

logger = logging.getLogger(__name__)

TOP = 5  # classes of each clip in the csv


@dataclass(frozen=True)
class ClipResult:
    """What evaluation gives.

    Attributes:
        measures: name -> value, see `clip_metrics.measures`.
        clips: how many were scored.
        views: of each.
        failed: what is wrong with each clip that was not.
        predictions: the csv of the best classes of each clip.
    """

    measures: dict[str, float]
    clips: int
    views: int
    failed: list[str]
    predictions: Path

    def table(self) -> str:
        """The measures as text, one a line."""
        width = max(map(len, self.measures))
        digits = {name: 4 if name.endswith("mAP") else 2 for name in self.measures}
        lines = [f"{name:<{width}}  {value:6.{digits[name]}f}" for name, value in self.measures.items()]
        return "\n".join([*lines, f"{self.clips} clips, {self.views} views of each"])


def main_measure(heads: Sequence[Head]) -> str:
    """The name of the measure by which models are compared."""
    if {"verb", "noun"} <= {head.name for head in heads}:
        return "action_top1"
    prefix = f"{heads[0].name}_" if len(heads) > 1 else ""
    return f"{prefix}{'mAP' if heads[0].multi_label else 'top1'}"


def evaluate_clips(
    predictor: ClipPredictor,
    folder: ClipFolder,
    split: str,
    output: Path,
    name: str = "",
    on_progress: Callable[[], object] = lambda: None,
    subset: float = 1.0,
) -> ClipResult | None:
    """Evaluate on the clips of a split; the processes of a group share the work.

    The scores of a clip are the mean over its TEST.NUM_ENSEMBLE_VIEWS x TEST.NUM_SPATIAL_CROPS views, or their maximum
    where several classes hold (PySlowFast's DATA.ENSEMBLE_METHOD of Kinetics and of Charades).

    Args:
        predictor: the model.
        folder: where the split is.
        split: its name.
        output: folder for `predictions_<name>.csv` and `scores_<name>.npz`.
        name: in the names of the files; "" is the split.
        on_progress: called now and then; what it raises ends the evaluation.
        subset: the fraction of the clips to evaluate on, evenly spread.

    Returns:
        The result; None in all but the main process.

    Raises:
        UserError: if the classes differ, or no clip can be read.
    """
    check_heads(predictor.heads, folder)
    cfg, clips = predictor.cfg, folder.clips(split)
    views = ClipViews.from_config(cfg, clips, folder.root)
    chosen = evenly_spread(len(views), subset)
    views.keep(chosen)
    loader = ViewLoader(
        views,
        Collate.from_config(cfg, views.spec),
        cfg.TEST.BATCH_SIZE,
        cfg.TRAIN.NUM_WORKERS,
        distributed.rank(),
        distributed.world_size(),
        pin_memory=predictor.network.device.type == "cuda",
    )
    multi_label = any(head.multi_label for head in clips.heads)
    gathered = ViewScores(len(views), clips.num_classes, "max" if multi_label else "sum")
    failed = []
    quiet = None if distributed.is_main() else True
    with tqdm(total=len(loader), desc=f"evaluate {split}", unit="clip", disable=quiet) as bar:
        for indices, batch in loader:
            on_progress()
            failed += batch.failed
            for index, scores in zip(indices, predictor(batch) if indices else ()):
                gathered.add(index, scores[None])
            bar.update(int(gathered.seen.sum()) + len(failed) - bar.n)
    seen = np.flatnonzero(gathered.seen)
    parts = distributed.gather((chosen[seen], gathered.scores()[seen], failed))
    if not distributed.is_main():
        return None
    failed = [message for _, _, messages in parts for message in messages]
    for message in failed:
        logger.warning("a clip is left out: %s", message)
    order = np.argsort(np.concatenate([numbers for numbers, _, _ in parts]))
    numbers, scores = (np.concatenate([part[i] for part in parts])[order] for i in (0, 1))
    if not len(numbers):
        raise UserError(f"none of the {len(views)} clips of {split} can be read; the first: {failed[0]}")
    labels = np.stack([clips.labels(number) for number in numbers.tolist()])
    path = output / f"predictions_{name or split}.csv"
    _write_predictions(path, clips, numbers, scores, labels)
    _write_scores(output / f"scores_{name or split}.npz", clips, numbers, scores, labels)
    found = measures(clips.heads, scores, labels)
    return ClipResult(found, len(numbers), views.num_views * views.num_crops, failed, path)


def evaluate_clip_weights(
    weights: str | Path, overrides: Sequence[str] = (), use_audio: bool = True
) -> ClipResult | None:
    """Evaluate a checkpoint on DATA.EVAL_SPLIT of DATA.ROOT; the result is also written to OUTPUT_DIR.

    Of a model that scores boxes too it is CLIPS.ROOT, and the folder `clips` in OUTPUT_DIR, as while it trains.

    Args:
        weights: the checkpoint, whose model's configuration is taken.
        overrides: KEY VALUE KEY VALUE ... that change it.
        use_audio: False evaluates as if nothing were to be heard.

    Returns:
        The result; None in all but the main process of a group.

    Raises:
        UserError: for anything wrong with the checkpoint, the overrides or the dataset.
    """
    predictor = ClipPredictor.load(weights, overrides, use_audio, dataset=True)
    cfg = predictor.cfg
    require_dataset(cfg, "CLIPS.ROOT" if cfg.DETECTION.ENABLE else "DATA.ROOT", weights)
    split = cfg.DATA.EVAL_SPLIT
    name = split if use_audio else f"{split}_silent"
    output = make_output(cfg.OUTPUT_DIR, "OUTPUT_DIR") / ("clips" if cfg.DETECTION.ENABLE else "")
    result = evaluate_clips(predictor, ClipFolder.from_config(cfg), split, output, name)
    if result:
        content = {**result.measures, "clips": result.clips, "views": result.views, "failed": len(result.failed)}
        write_whole(output / f"evaluation_{name}.json", (json.dumps(content, indent=2) + "\n").encode())
        check_failed(
            "clips", len(result.failed), result.clips + len(result.failed), cfg.TRAIN.MAX_FAILED_SHARE,
            next(iter(result.failed), ""),
        )  # fmt: skip
    return result


def _write_predictions(
    path: Path, clips: LabelledClips, numbers: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> None:
    """A row for each clip and head: what is true, with `;` between several, and the best classes with their scores."""
    columns = [f"{what}_{i}" for i in range(1, TOP + 1) for what in ("class", "score")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", "start", "end", "head", "labels", *columns])
    for number, mine, true in zip(numbers.tolist(), scores, labels):
        clip = clips[number]
        place = [clip.video, f"{clip.start:g}", "" if clip.end is None else f"{clip.end:g}"]
        for head, own in zip(clips.heads, clips.head_slices()):
            best = np.argsort(-mine[own], kind="stable")[:TOP]
            named = [word for k in best for word in (head.classes[k], f"{mine[own][k]:.4f}")]
            holding = ";".join(head.classes[k] for k in np.flatnonzero(true[own]))
            writer.writerow([*place, head.name, holding, *named])
    write_whole(path, text.getvalue().encode())


def _write_scores(
    path: Path, clips: LabelledClips, numbers: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> None:
    """All scores (S, K) and labels (S, K), with the clips' videos and seconds and the classes' names."""
    with written_whole(path) as unfinished, open(unfinished, "wb") as file:
        np.savez_compressed(
            file,
            scores=scores.astype(np.float32),
            labels=labels.astype(bool),
            videos=np.array([clips.video(number) for number in numbers.tolist()]),
            starts=clips.starts[numbers],
            ends=clips.ends[numbers],
            classes=np.array(clips.class_names),
        )
