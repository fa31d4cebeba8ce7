"""What `ava-eval check` reports: facts, problems with a fix that was verified, and suspicions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ava_eval.table import Table

WORTH = 0.005  # mAP that a fix gains at least
MOST_NAMED = 8  # videos in a line


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong.

    Attributes:
        name: the cause, as the documentation lists it.
        evidence: what was seen.
        advice: what to change.
        videos: those concerned, if not all.
        is_certain: whether it was verified, by the numbers or by the metric; otherwise it is only suspicious.
    """

    name: str
    evidence: str
    advice: str
    videos: tuple[str, ...] = ()
    is_certain: bool = True

    def line(self) -> str:
        """The issue in one line."""
        return f"{self.name}{self.where()}: {self.evidence}; {self.advice}"

    def where(self) -> str:
        """The videos concerned, for a sentence; empty if all are."""
        if not self.videos:
            return ""
        rest = len(self.videos) - MOST_NAMED
        more = f" and {rest} more" if rest > 0 else ""
        return f" (in {len(self.videos)} videos: {', '.join(map(repr, self.videos[:MOST_NAMED]))}{more})"


@dataclass
class Diagnosis:
    """What was examined and what was found.

    Attributes:
        facts: what the files hold, a line each.
        issues: what is wrong, the first cause first.
        suspicions: what looks wrong but could not be verified.
    """

    facts: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    suspicions: list[Issue] = field(default_factory=list)

    def add(self, issue: Issue) -> None:
        """Puts the issue where it belongs."""
        (self.issues if issue.is_certain else self.suspicions).append(issue)

    def text(self) -> str:
        """The diagnosis for a terminal."""
        lines = [*self.facts, ""]
        for title, issues in (("PROBLEM", self.issues), ("SUSPICIOUS", self.suspicions)):
            for issue in issues:
                lines += [f"{title} {issue.name}{issue.where()}", f"  seen: {issue.evidence}"]
                lines.append(f"  {'fix' if issue.is_certain else 'try'}:  {issue.advice}")
        if not self.issues:
            other = "other " if self.suspicions else ""
            lines.append(f"no {other}problem found; in a video with few labeled frames a fault may go unnoticed")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """The diagnosis for JSON."""
        issues, suspicions = (
            [{"name": i.name, "evidence": i.evidence, "advice": i.advice, "videos": list(i.videos)} for i in group]
            for group in (self.issues, self.suspicions)
        )
        return {"facts": self.facts, "issues": issues, "suspicions": suspicions}


@dataclass
class Fix:
    """A change that may be left out to see what it is worth.

    Attributes:
        issue: what it fixes.
        change: detections (or ground truth), without it -> with it.
        proven: whether it needs no gain of mAP to be believed.
        of_truth: whether the ground truth is what is to be changed.
        worth: mAP that it must gain, with all others in place, to be believed.
    """

    issue: Issue
    change: Callable[[Table], Table]
    proven: bool = False
    of_truth: bool = False
    worth: float = WORTH
