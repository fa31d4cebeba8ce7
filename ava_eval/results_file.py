"""Detections in the pickles that other projects write: mmaction2's dumped results, and PySlowFast's meters."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ava_eval.errors import InputError
from ava_eval.pickle_file import load_pickle
from ava_eval.table import Table, table_from_columns

ACTION_THRESHOLD = 0.002  # mmaction2's AVAMetric counts scores above it (action_thr)
AVA_COLUMNS = 81  # of mmaction2's scores: the background and AVA's 80 classes


def read_results(path: str | os.PathLike[str]) -> Table:
    """Detections from a pickle, as `--dump results.pkl` of mmaction2's tools/test.py writes it, or PySlowFast's arrays.

    - mmaction2 1.x: a list with a dict per keyframe: `video_id`, `timestamp` and `pred_instances` with `bboxes`
      (N, 4), x1 y1 x2 y2 within 0..1, and `scores` (N, C), where column k is the class id k and column 0 the
      background. Scores up to 0.002 do not count, as in its AVAMetric. Or `outputs` in place of `pred_instances`: a
      list of (N, 5) arrays, one per class id from 1.
    - PySlowFast: a dict with `preds` (N, K), column k being the class id k + 1, `ori_boxes` (N, 5), `metadata` (N, 2)
      of video number and second, and `video_idx_to_name`.

    Raises:
        InputError: if the file cannot be read, asks for more than arrays, or holds anything else.
    """
    path = os.fspath(path)
    content = load_pickle(path)
    try:
        if isinstance(content, list | tuple) and content and all(isinstance(item, dict) for item in content):
            return _of_mmaction2(path, content)
        if isinstance(content, dict) and {"preds", "metadata"} <= set(content):
            return _of_pyslowfast(path, content)
    except InputError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: detections of an unexpected form ({type(error).__name__}: {error})") from None
    raise InputError(f"{path}: {_what(content)}, {EXPECTED}")


EXPECTED = (
    "expected mmaction2's list of dicts with video_id, timestamp and pred_instances (tools/test.py --dump), or a dict "
    "with PySlowFast's preds, ori_boxes, metadata and video_idx_to_name; or evaluate a csv"
)


def _what(content: Any) -> str:
    if isinstance(content, list | tuple):
        if len(content) == 0:
            return "an empty list"
        if len(content) == 3:
            return "three arrays without the names of the videos"
        return f"a list of {type(content[0]).__name__}, without the names of the videos"
    if isinstance(content, dict):
        return f"a dict with the keys {', '.join(sorted(map(str, content))[:6])}"
    return f"a pickled {type(content).__name__}"


def _of_mmaction2(path: str, samples: list[dict[str, Any]]) -> Table:
    names, times, boxes, actions, scores, widths = [], [], [], [], [], set()
    for number, sample in enumerate(samples):
        place = f"{path}: keyframe {number}"
        video, second = _keyframe(sample, place)
        if "outputs" in sample:
            arrays = [np.asarray(rows, dtype=np.float64).reshape(-1, 5) for rows in sample["outputs"]]
            rows = np.concatenate([*arrays, np.zeros((0, 5))])
            corners, kept = rows[:, :4], rows[:, 4]
            ids = np.repeat(np.arange(1, len(arrays) + 1), [len(rows) for rows in arrays])
            widths.add(len(arrays) + 1)
        else:
            found = sample.get("pred_instances")
            if not isinstance(found, dict) or not {"bboxes", "scores"} <= set(found):
                raise InputError(f"{place} has no pred_instances with bboxes and scores; {EXPECTED}")
            corners, values = np.asarray(found["bboxes"], np.float64), np.asarray(found["scores"], np.float64)
            if corners.size == 0:
                corners, values = np.zeros((0, 4)), np.zeros((0, 2))
            else:
                widths.add(values.shape[-1])
            if corners.ndim != 2 or corners.shape[1] != 4 or values.ndim != 2 or len(values) != len(corners):
                raise InputError(
                    f"{place}: bboxes of {corners.shape} and scores of {values.shape}, expected (N, 4) and (N, C)"
                )
            person, column = np.nonzero(values[:, 1:] > ACTION_THRESHOLD)
            corners, ids, kept = corners[person], column + 1, values[person, column + 1]
        names += [video] * len(ids)
        times.append(np.full(len(ids), second))
        boxes.append(corners)
        actions.append(ids)
        scores.append(kept)
    if len(widths) > 1:
        raise InputError(f"{path}: keyframes with different numbers of classes: {sorted(widths)}")
    notes = []
    if widths and widths != {AVA_COLUMNS}:
        notes.append(
            f"{path}: {widths.pop()} score columns, read as the background and the class ids from 1; with "
            "custom_classes that is wrong: evaluate the csv that AVAMetric writes"
        )
    columns = (np.concatenate(parts) for parts in (times, boxes, actions, scores))
    return table_from_columns(path, names, *columns, notes=notes)


def _keyframe(sample: dict[str, Any], place: str) -> tuple[str, float]:
    """Video and second."""
    if "video_id" in sample and "timestamp" in sample:
        return str(sample["video_id"]), float(sample["timestamp"])
    video, comma, second = str(sample.get("img_key", "")).rpartition(",")
    if not comma:
        raise InputError(f"{place} has neither video_id and timestamp nor img_key; {EXPECTED}")
    return video, float(second)


def _of_pyslowfast(path: str, content: dict[str, Any]) -> Table:
    names = content.get("video_idx_to_name")
    if names is None:
        raise InputError(
            f"{path}: numbers the videos, without video_idx_to_name; evaluate detections_latest.csv, which PySlowFast "
            "writes beside it"
        )
    scores = np.asarray(content["preds"], np.float64)
    boxes = np.asarray(content.get("ori_boxes", content.get("boxes")), np.float64)
    metadata = np.asarray(content["metadata"], np.float64)
    if scores.ndim != 2 or boxes.ndim != 2 or metadata.shape != (len(scores), 2) or len(boxes) != len(scores):
        raise InputError(
            f"{path}: preds of {scores.shape}, ori_boxes of {boxes.shape} and metadata of {metadata.shape}, expected "
            "(N, K), (N, 5) and (N, 2)"
        )
    people, classes = np.divmod(np.arange(scores.size), scores.shape[1])
    videos = np.rint(metadata[:, 0]).astype(int).tolist()
    videos = [str(names[video]) for video in videos]
    return table_from_columns(
        path,
        [videos[person] for person in people],
        np.rint(metadata[people, 1]),
        boxes[people, -4:],
        classes + 1,
        scores.ravel(),
    )
