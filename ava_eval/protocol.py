"""What the public AVA evaluators do differently, a field a difference."""

from __future__ import annotations

from dataclasses import dataclass

FRAME_CAPACITY = 50  # rows (box x class) a frame may have: read_csv(..., 50) in activitynet's get_ava_performance.py


@dataclass(frozen=True)
class Protocol:
    """How one evaluator counts. The defaults are the official one's.

    Attributes:
        name: as `--protocol` takes it.
        capacity: detection rows a frame keeps, the best ones; None for all.
        sorts_frame: whether the detections of a frame are matched by falling score, or else in the order of the file.
        order: how rows of equal score in a frame follow each other: "heap" (the array of a binary heap) or "file".
        counts_frames: on which frames detections count: those with a ground-truth row of any kind ("named"), with
            ground truth of a scored class ("labelled"), or all ("all").
        follows: the table, "detections" or "ground truth", whose first rows of the frames give the frames' order.
        whole_seconds: whether frames are told apart by whole seconds.
        reads_empty_frames: whether it takes ground-truth rows of two columns.
        excluded_truth_counts: whether ground truth on an excluded frame counts (as missed).
        keeps_flat: whether a detection of no height or width counts as a false positive, and an inverted one is an
            error; otherwise both are dropped.
        precision: the floating-point type of boxes and scores.
        undetected_count: whether a class with ground truth but no detection has AP 0, or no AP.
        groups_by_id: whether groups are ranges of ids (up to 14, up to 63, above) whatever the label map says.
    """

    name: str
    capacity: int | None = FRAME_CAPACITY
    sorts_frame: bool = True
    order: str = "heap"
    counts_frames: str = "named"
    follows: str = "detections"
    whole_seconds: bool = False
    reads_empty_frames: bool = True
    excluded_truth_counts: bool = False
    keeps_flat: bool = False
    precision: str = "float64"
    undetected_count: bool = True
    groups_by_id: bool = False


OFFICIAL = Protocol("official")
PROTOCOLS = {
    "official": OFFICIAL,  # activitynet/ActivityNet, Evaluation/get_ava_performance.py
    "pyslowfast": Protocol(  # facebookresearch/SlowFast 287ec00, slowfast/utils/ava_eval_helper.py
        "pyslowfast",
        capacity=None,
        sorts_frame=False,
        order="file",
        counts_frames="all",
        whole_seconds=True,
        reads_empty_frames=False,
    ),
    "mmaction2": Protocol(  # open-mmlab/mmaction2 4d6c934, mmaction/evaluation/functional/ava_utils.py
        "mmaction2",
        capacity=None,
        order="file",
        counts_frames="labelled",
        follows="ground truth",
        whole_seconds=True,
        reads_empty_frames=False,
        excluded_truth_counts=True,
        keeps_flat=True,
        precision="float32",
        undetected_count=False,
        groups_by_id=True,
    ),
}
