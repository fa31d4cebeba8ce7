"""Evaluation on a split: persons detected, actions scored, a detections csv written, frame mAP computed."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ava_eval import Evaluation
from ava_eval import evaluate as evaluate_detections
from ava_eval.label_map import LabelMap
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.clip import within_video
from avsf_det.engine.output import make_output
from avsf_det.engine.persons import find_persons, open_detector
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.structures import Persons
from detectors.files import write_whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitResult:
    """What evaluation gives.

    Attributes:
        evaluation: frame mAP and all that belongs to it.
        detections: the csv of scored boxes.
        failed: videos that could not be read, in part or at all, and why.
    """

    evaluation: Evaluation
    detections: Path
    failed: dict[str, str]


def evaluate_split(predictor: Predictor, dataset: AvaFolder, split: str, detections: Path) -> SplitResult:
    """Evaluate on the labelled keyframes of a split.

    Persons come from the detector of the predictor's configuration (DETECTOR keys) or the dataset's predicted boxes,
    those below AVA.DETECTION_SCORE_THRESH left out.

    Args:
        predictor: the model.
        dataset: where the split is.
        split: its name.
        detections: the csv to write.

    Raises:
        UserError: if the label maps differ, or nothing can be read.
    """
    cfg = predictor.cfg
    check_label_map(predictor.label_map, dataset)
    keyframes = dataset.keyframes(split)
    tables = {
        "ground_truth": dataset.groundtruth_path(split),
        "label_map": dataset.scored_label_map_path,
        "excluded": dataset.exclusion_path(split),
    }
    evaluate_detections(detections=[], **tables)  # what it would refuse in the end, it refuses now
    model = cfg.DETECTOR.MODEL
    if model == "groundtruth":
        model = str(dataset.test_box_path(split) or dataset.groundtruth_path(split))
    detector = open_detector(model, cfg.DETECTOR.WEIGHTS, cfg.AVA.DETECTION_SCORE_THRESH)
    cache = Path(cfg.DETECTOR.CACHE_DIR or default_cache())
    rows, failed = [], {}
    with tqdm(total=len(keyframes), desc=f"evaluate {split}", unit="keyframe", disable=None) as bar:
        for video_id, times in keyframes.by_video().items():
            path = dataset.videos[video_id]
            try:
                times, beyond = within_video(path, times.tolist(), predictor.spec)
                persons = find_persons(path, times, detector, cache)
                scored = predictor.score_video(path, times, persons, bar.update)
            except UserError as error:
                failed[video_id] = str(error)
                continue
            if beyond:
                failed[video_id] = beyond
            rows += detection_rows(video_id, times, scored, predictor.label_map)
    if failed:
        logger.warning("%d videos left out: %s", len(failed), "; ".join(failed.values()))
    write_detections(detections, rows)
    return SplitResult(evaluate_detections(detections=detections, **tables), detections, failed)


def evaluate_weights(weights: str | Path, overrides: Sequence[str] = (), use_audio: bool = True) -> SplitResult:
    """Evaluate a checkpoint on DATA.EVAL_SPLIT of DATA.ROOT; the result is also written to OUTPUT_DIR.

    Args:
        weights: the checkpoint, whose configuration is taken.
        overrides: KEY VALUE KEY VALUE ... that change it.
        use_audio: False evaluates as if nothing were to be heard.

    Raises:
        UserError: for anything wrong with the checkpoint, the overrides or the dataset.
    """
    predictor = Predictor.load(weights, overrides=overrides, use_audio=use_audio)
    cfg = predictor.cfg
    split = cfg.DATA.EVAL_SPLIT
    name = split if use_audio else f"{split}_silent"
    output = make_output(cfg.OUTPUT_DIR, "OUTPUT_DIR")
    result = evaluate_split(predictor, AvaFolder.from_config(cfg), split, output / f"detections_{name}.csv")
    write_whole(output / f"evaluation_{name}.json", result.evaluation.to_json().encode())
    return result


def check_label_map(label_map: LabelMap, dataset: AvaFolder) -> None:
    """See that a model's classes are the dataset's.

    Raises:
        UserError: if they are not; the first difference is named.
    """
    own, other = dict(zip(label_map.ids, label_map.names)), dict(zip(dataset.label_map.ids, dataset.label_map.names))
    for action_id in sorted(own.keys() | other.keys()):
        if own.get(action_id) != other.get(action_id):
            raise UserError(
                f"the model's label map is not that of {dataset.root}: id {action_id} is {own.get(action_id)!r} "
                f"there and {other.get(action_id)!r} in {dataset.label_map_path}; take the dataset it was trained on"
            )


def detection_rows(
    video_id: str, times: Iterable[float], persons: Iterable[Persons], label_map: LabelMap, threshold: float = 0.0
) -> list[tuple]:
    """AVA's result rows: video, timestamp, x1, y1, x2, y2, action id, score, for every action above `threshold`.

    Scores are the action's alone, as PySlowFast writes them, and at full precision, so that no ties arise.
    """
    return [
        (
            video_id,
            f"{time:.6f}".rstrip("0") if time % 1 else f"{int(time):04d}",
            *(f"{v:.6g}" for v in box),
            action_id,
            repr(float(score)),
        )
        for time, found in zip(times, persons)
        for box, actions in zip(found.boxes, found.actions)
        for action_id, score in zip(label_map.ids, actions)
        if score >= threshold
    ]


def write_detections(path: Path, rows: Iterable[tuple]) -> None:
    """Write AVA result rows to `path`, whole or not at all.

    Raises:
        UserError: if it cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(path, text.getvalue().encode())


def default_cache() -> Path:
    """The folder for found persons where none is set."""
    from detectors.weights import cache_folder

    return cache_folder() / "persons"
