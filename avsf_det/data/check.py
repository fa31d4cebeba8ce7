"""What is missing or wrong in a dataset, found before anything trains."""

from __future__ import annotations

from collections.abc import Sequence

from avsf_det.data import check_tables, check_videos
from avsf_det.data.finding import ERROR, WARNING, Finding
from avsf_det.data.survey import Survey

CHECKS = (
    check_tables.label_maps,
    check_tables.tables,
    check_tables.bad_rows,
    check_tables.box_sizes,
    check_tables.repetitions,
    check_tables.shared_ids,
    check_tables.exclusions,
    check_tables.classes,
    check_tables.splits_apart,
    check_tables.predicted_boxes,
    check_videos.missing,
    check_videos.unreadable,
    check_videos.lengths,
    check_videos.clocks,
    check_videos.keyframes_within,
    check_videos.sounds,
    check_videos.frame_folders,
    check_videos.keyframe_pictures,
    check_videos.copies,
)
"""In the order of their findings; each takes a `Survey` and yields a `Finding` for each thing it saw."""


def check_dataset(survey: Survey) -> list[Finding]:
    """All that `CHECKS` find."""
    return [finding for check in CHECKS for finding in check(survey)]


def summary(findings: Sequence[Finding]) -> str:
    """One line for the end."""
    errors, warnings = (sum(finding.level == level for finding in findings) for level in (ERROR, WARNING))
    if not errors:
        return f"nothing to mend; {warnings} warnings" if warnings else "nothing to mend"
    return f"{errors} to mend, {warnings} warnings"
