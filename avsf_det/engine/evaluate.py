"""Evaluation on a split: persons detected, actions scored, a detections csv written, frame mAP computed."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm
from yacs.config import CfgNode

from ava_eval import Evaluation
from ava_eval import evaluate as evaluate_detections
from ava_eval.label_map import LabelMap
from avsf_det import distributed
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.ava_csv import read_timestamps
from avsf_det.data.clip import within_video
from avsf_det.engine.audio_effect import AudioEffect, audio_effects, effect_json
from avsf_det.engine.checkpoint_config import require_dataset
from avsf_det.engine.output import make_output
from avsf_det.engine.persons import find_persons, open_detector
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.training_data import evenly_spread
from avsf_det.errors import UserError
from avsf_det.files import cache_folder, written_whole
from avsf_det.structures import Persons
from detectors.files import write_whole

logger = logging.getLogger(__name__)

CHUNK = 64  # keyframes of a video that a process scores at once; with TEST.BATCH_SIZE it says which share a batch


@dataclass(frozen=True)
class SplitResult:
    """What evaluation gives.

    Attributes:
        evaluation: frame mAP and all that belongs to it.
        detections: the csv of scored boxes.
        failed: videos that could not be read, in part or at all, and why.
        persons: whose boxes these are, in words.
        effects: what sound does to each class, by name; empty where that was not asked.
    """

    evaluation: Evaluation
    detections: Path
    failed: dict[str, str]
    persons: str
    effects: dict[str, AudioEffect] = field(default_factory=dict)


def evaluate_split(
    predictor: Predictor,
    dataset: AvaFolder,
    split: str,
    detections: Path,
    on_chunk: Callable[[], object] = lambda: None,
    subset: float = 1.0,
) -> SplitResult | None:
    """Evaluate on the keyframes of a split; the processes of a group share the work.

    Persons come from the detector of the predictor's configuration (DETECTOR keys) or the dataset's predicted boxes,
    those below AVA.DETECTION_SCORE_THRESH left out. Scores do not depend on how many processes there are: what goes
    through the network together is fixed by `CHUNK`.

    Args:
        predictor: the model.
        dataset: where the split is.
        split: its name.
        detections: the csv to write.
        on_chunk: called now and then; what it raises ends the evaluation.
        subset: the fraction of the keyframes to evaluate on, evenly spread; the others do not count.

    Returns:
        The result; None in all but the main process.

    Raises:
        UserError: if the label maps differ, or nothing can be read.
    """
    cfg = predictor.cfg
    check_label_map(predictor.label_map, dataset)
    times, excluded = _subset(dataset, split, subset)
    chunks = _chunks(times)
    tables = {
        "ground_truth": dataset.groundtruth_path(split),
        "label_map": dataset.scored_label_map_path,
        "excluded": excluded,
    }
    if distributed.is_main():
        evaluate_detections(detections=[], **tables)  # what it would refuse in the end, it refuses now
    model, persons_from = _persons(predictor.cfg, dataset, split)
    logger.info("%s", persons_from)
    detector = open_detector(model, cfg.DETECTOR.WEIGHTS, cfg.AVA.DETECTION_SCORE_THRESH, cfg.DETECTOR.CLASSES)
    cache = Path(cfg.DETECTOR.CACHE_DIR or default_cache())
    own = range(distributed.rank(), len(chunks), distributed.world_size())
    scored, failed, short = {}, {}, {}
    total = sum(len(chunks[number][1]) for number in own)
    quiet = None if distributed.is_main() else True
    with tqdm(total=total, desc=f"evaluate {split}", unit="keyframe", disable=quiet) as bar:
        for number in own:
            on_chunk()
            video_id, times = chunks[number]
            path = dataset.videos[video_id]
            try:
                times, beyond = within_video(path, times, predictor.spec, whole=True)
                if beyond:
                    short[video_id] = beyond
                persons = find_persons(path, times, detector, cache)
                scored[number] = video_id, times, predictor.score_video(path, times, persons, bar.update)
            except UserError as error:
                failed[video_id] = str(error)
    everything = distributed.gather((scored, failed, short))
    if not distributed.is_main():
        return None
    scored, failed, short = (dict(chain(*(part.items() for part in parts))) for parts in zip(*everything))
    if failed:
        logger.warning("%d videos left out: %s", len(failed), "; ".join(failed.values()))
    if short:
        logger.warning("keyframes left out: %s", "; ".join(short.values()))
    good = [chunk for _, chunk in sorted(scored.items()) if chunk[0] not in failed]
    write_detections(detections, (row for chunk in good for row in detection_rows(*chunk, predictor.label_map)))
    evaluation, effects = evaluate_detections(detections=detections, **tables), {}
    if predictor.explain_audio:
        rows = (row for chunk in good for row in audio_rows(*chunk, predictor.label_map))
        write_detections(audio_path(detections), rows)
        silent = [found.silent.ravel() for _, _, persons in good for found in persons]
        effects = audio_effects(evaluation, np.concatenate([np.zeros(0), *silent]), tables["excluded"])
    return SplitResult(evaluation, detections, short | failed, persons_from, effects)


def _persons(cfg: CfgNode, dataset: AvaFolder, split: str) -> tuple[str, str]:
    """The detector that gives the persons of a split, and who they are in words."""
    model = cfg.DETECTOR.MODEL
    if model != "groundtruth":
        who = " or ".join(cfg.DETECTOR.CLASSES)
        of_file = Path(model).suffix.lower() == ".csv"
        return model, f"boxes of {model}" if of_file else f"boxes of {who} that {model} finds"
    given = dataset.test_box_path(split)
    if given is not None:
        return str(given), f"boxes of {given}"
    truth = dataset.groundtruth_path(split)
    return str(truth), f"boxes of the ground truth, {truth}: mAP of actions alone (DETECTOR.MODEL yolox finds persons)"


def _subset(
    dataset: AvaFolder, split: str, fraction: float
) -> tuple[dict[str, np.ndarray], Path | list[tuple[str, float]] | None]:
    """The seconds to evaluate each video at, and the keyframes that do not count."""
    times, excluded = dataset.evaluation_times(split), dataset.exclusion_path(split)
    if fraction == 1:
        return times, excluded
    every = [(video, time) for video, own in times.items() for time in own.tolist()]
    chosen = {every[i] for i in evenly_spread(len(every), fraction)}
    others = [keyframe for keyframe in every if keyframe not in chosen]
    kept = {video: np.array([time for time in own.tolist() if (video, time) in chosen]) for video, own in times.items()}
    left_out = [*(read_timestamps(excluded) if excluded else ()), *others]
    return {video: own for video, own in kept.items() if len(own)}, left_out


def _chunks(videos: dict[str, np.ndarray]) -> list[tuple[str, list[float]]]:
    """Up to `CHUNK` consecutive keyframes of one video each: its id, and seconds."""
    return [
        (video_id, times[start : start + CHUNK].tolist())
        for video_id, times in videos.items()
        for start in range(0, len(times), CHUNK)
    ]


def evaluate_weights(
    weights: str | Path, overrides: Sequence[str] = (), use_audio: bool = True, explain_audio: bool = False
) -> SplitResult | None:
    """Evaluate a checkpoint on DATA.EVAL_SPLIT of DATA.ROOT; the result is also written to OUTPUT_DIR.

    Args:
        weights: the checkpoint, whose model's configuration is taken.
        overrides: KEY VALUE KEY VALUE ... that change it.
        use_audio: False evaluates as if nothing were to be heard.
        explain_audio: also evaluate the same boxes scored without sound, and compare.

    Returns:
        The result; None in all but the main process of a group.

    Raises:
        UserError: for anything wrong with the checkpoint, the overrides or the dataset.
    """
    predictor = Predictor.load(weights, overrides, use_audio, explain_audio, dataset=True)
    cfg = predictor.cfg
    require_dataset(cfg, "DATA.ROOT", weights)
    split = cfg.DATA.EVAL_SPLIT
    name = split if use_audio else f"{split}_silent"
    output = make_output(cfg.OUTPUT_DIR, "OUTPUT_DIR")
    result = evaluate_split(predictor, AvaFolder.from_config(cfg), split, output / f"detections_{name}.csv")
    if result:
        write_whole(output / f"evaluation_{name}.json", result.evaluation.to_json().encode())
        if explain_audio:
            write_whole(output / f"audio_effect_{name}.json", effect_json(result.effects).encode())
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


def audio_rows(
    video_id: str, times: Sequence[float], persons: Sequence[Persons], label_map: LabelMap
) -> Iterator[tuple]:
    """All of `detection_rows` with two more columns: the score without sound, and how much sound added to it."""
    silent = (score for found in persons for score in found.silent.ravel().tolist())
    for row, other in zip(detection_rows(video_id, times, persons, label_map), silent, strict=True):
        yield (*row, repr(other), repr(float(row[-1]) - other))


def audio_path(detections: Path) -> Path:
    """Where `audio_rows` go, beside a csv of detections."""
    return detections.with_name(f"{detections.stem}_audio.csv")


def write_detections(path: Path, rows: Iterable[tuple]) -> None:
    """Write AVA result rows to `path`, whole or not at all.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        with written_whole(path) as unfinished, open(unfinished, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); free space or choose another folder") from None


def default_cache() -> Path:
    """The folder for found persons where none is set."""
    return cache_folder() / "persons"
