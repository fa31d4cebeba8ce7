"""Video ids that are written differently in the two files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from ava_eval.table import Table

EXTENSION = re.compile(r"\.(mp4|mkv|webm|avi|mov|m4v|mpg|mpeg|flv|wmv|ogv|ts|3gp)$", re.IGNORECASE)


def _without_folder(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _without_extension(name: str) -> str:
    return EXTENSION.sub("", name)


RENAMINGS: dict[str, tuple[Callable[[str], str], str]] = {
    "video ids with an extension": (_without_extension, "write the ids without .mp4, .mkv and so on"),
    "video ids with a folder": (_without_folder, "write the ids without folder"),
    "video ids with folder and extension": (
        lambda name: _without_extension(_without_folder(name)),
        "write the ids without folder and extension",
    ),
    "video ids with spaces around them": (str.strip, "write the ids without spaces"),
    "video ids with a byte order mark": (lambda name: name.strip("\ufeff"), "remove the mark at the start of the file"),
    "video ids in different case": (
        lambda name: name.strip().lower(),
        "write the ids in the same upper and lower case",
    ),
    "video ids in different case, with folder or extension": (
        lambda name: _without_extension(_without_folder(name.strip())).lower(),
        "write the ids exactly as in the ground truth",
    ),
    "video ids with the clip's times": (
        lambda name: re.sub(r"_\d{6}_\d{6}$", "", _without_extension(_without_folder(name))),
        "write the ids without the first and last second of the clip",
    ),
}


@dataclass(frozen=True)
class Naming:
    """Ids that differ.

    Attributes:
        name: of the problem.
        evidence: what was seen.
        advice: what to change.
        names: {id in the detections: id in the ground truth}, empty if no rule brings them together.
    """

    name: str
    evidence: str
    advice: str
    names: dict[str, str]

    def apply(self, found: Table) -> Table:
        """The detections with the ground truth's ids."""
        return replace(found, video_names=[self.names.get(name, name) for name in found.video_names])


def find_namings(truth: Table, found: Table) -> list[Naming]:
    """Rules that bring ids together which differ; at most one remark that none does.

    Only ids without a counterpart are renamed, each to one that has none either.
    """
    namings = []
    free = sorted(set(found.video_names) - set(truth.video_names))
    targets = sorted(set(truth.video_names) - set(found.video_names))
    common = len(set(truth.video_names) & set(found.video_names))
    for name, (rename, advice) in RENAMINGS.items():
        mapping = _mapping(free, targets, rename)
        if mapping:
            namings.append(Naming(name, _seen(mapping, common), advice, mapping))
            free = [video for video in free if video not in mapping]
            targets = sorted(set(targets) - set(mapping.values()))
    affix = _affix(free, targets)
    if affix:
        mapping, what = affix
        advice = "write the ids as in the ground truth"
        namings.append(Naming(f"video ids with {what}", _seen(mapping, common), advice, mapping))
    if not common and not namings and free and targets:
        seen = f"the detections have {free[0]!r}, the ground truth has {targets[0]!r}"
        namings.append(Naming("no videos in common", seen, "evaluate against their ground truth, or fix the ids", {}))
    return namings


def _seen(mapping: dict[str, str], common: int) -> str:
    there, here = next(iter(mapping.items()))
    return (
        f"the detections have {there!r} where the ground truth has {here!r}; so {len(mapping)} of the detections' "
        f"videos differ, {common} are the same"
    )


def _mapping(free: list[str], targets: list[str], rename: Callable[[str], str]) -> dict[str, str]:
    """{free name: target} where both become the same, and no other does."""
    by_name: dict[str, list[str]] = {}
    for target in targets:
        by_name.setdefault(rename(target), []).append(target)
    taken = Counter(rename(name) for name in free)
    return {
        name: by_name[new][0]
        for name in free
        if (new := rename(name)) and len(by_name.get(new, ())) == 1 and taken[new] == 1
    }


def _affix(free: list[str], targets: list[str]) -> tuple[dict[str, str], str] | None:
    """A prefix or suffix that most of the ids share, on either side."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    for longer, shorter, in_found in ((free, targets, True), (targets, free, False)):
        for name in longer[:100]:
            for other in shorter[:1000]:
                place = name.find(other) if other else -1
                if place >= 0 and name != other:
                    counts[name[:place], name[place + len(other) :], in_found] += 1
    if not counts:
        return None
    (prefix, suffix, in_found), count = counts.most_common(1)[0]
    if count < max(2, min(len(free), len(targets), 100) / 2):
        return None
    if in_found:
        mapping = {
            n: n[len(prefix) : len(n) - len(suffix)] for n in free if n.startswith(prefix) and n.endswith(suffix)
        }
    else:
        mapping = {n: f"{prefix}{n}{suffix}" for n in free}
    mapping = {name: target for name, target in mapping.items() if target in set(targets)}
    side = "" if in_found else " missing"
    return mapping, f"{'a prefix' if prefix else 'a suffix'}{side}"
