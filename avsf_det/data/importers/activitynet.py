"""ActivityNet's JSON, which THUMOS, HACS and FineAction have too: labelled segments of videos, in seconds."""

from __future__ import annotations

from avsf_det.data.importers.clock import SECONDS, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import LABEL, Export, ExportedVideo, Span, split_of, texts

NAME = "ActivityNet JSON"


def recognises(document: Document) -> bool:
    """Whether this is such a file: {"database": {video: {"annotations": [{"segment", "label"}]}}}, or what is in it."""
    videos = _videos(document.json) if document.suffix == ".json" else {}
    return any(_segments(video) and "segment" in _segments(video)[0] for video in videos.values())


def _videos(content: object) -> dict[str, dict]:
    content = content.get("database", content) if isinstance(content, dict) else {}
    return content if isinstance(content, dict) and all(isinstance(v, dict) for v in content.values()) else {}


def _segments(video: dict) -> list[dict]:
    found = video.get("annotations")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def read(document: Document) -> Export:
    """Its segments. Videos are called by their id or, as ActivityNet's files are, by it with `v_` before."""
    export, spans = Export(NAME), 0
    for name, content in _videos(document.json).items():
        where = f"{document.name}: {name}"
        split = split_of(str(content.get("subset", "")))
        video = ExportedVideo((name, f"v_{name}"), where, Clock(SECONDS), split=split)
        for number, one in enumerate(_segments(content)):
            segment = one.get("segment")
            try:
                start, end = (float(value) for value in segment)
            except (TypeError, ValueError):
                export.bad.append(f"{where}, segment {number}: got {segment!r}, expected [start, end] in seconds")
                continue
            labels = texts(one.get("label"))
            if not labels or not start < end < float("inf"):
                export.bad.append(f"{where}, segment {number}: got {segment!r} of {one.get('label')!r}")
                continue
            video.spans.append(Span(start, end, {LABEL: labels}, f"{where}, segment {number}"))
        spans += len(video.spans)
        if video.spans:
            export.videos.append(video)
    export.notes.append(f"{document.name}: {spans} segments of {len(export.videos)} videos")
    return export
