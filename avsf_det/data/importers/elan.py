"""ELAN's annotation files (.eaf): labelled spans on tiers, in milliseconds of the linked media."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlparse

from avsf_det.data.importers.clock import SECONDS, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import Export, ExportedVideo, Span, split_of

NAME = "ELAN eaf"


def recognises(document: Document) -> bool:
    """Whether this is such a file."""
    return document.xml is not None and document.xml.tag == "ANNOTATION_DOCUMENT"


def read(document: Document) -> Export:
    """Its spans. Each tier is an attribute, so that --actions TIER chooses among several.

    Annotations that refer to others have their times. The video is the first linked media file, or what is called as
    the file itself.
    """
    export, root = Export(NAME), document.xml
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    media = [one.get("MEDIA_URL") or one.get("RELATIVE_MEDIA_URL") for one in root.iter("MEDIA_DESCRIPTOR")]
    names = [PurePosixPath(unquote(urlparse(url).path)).name for url in media if url]
    offset = next((float(one.get("TIME_ORIGIN") or 0) for one in root.iter("MEDIA_DESCRIPTOR")), 0.0)
    video = ExportedVideo(
        tuple(dict.fromkeys([*names, document.stem])), document.name, Clock(SECONDS), split=split_of(document.path)
    )
    times: dict[str, tuple[float, float]] = {}
    total = 0
    for tier in root.iter("TIER"):
        attribute = tier.get("TIER_ID") or "tier"
        for annotation in [*tier.iter("ALIGNABLE_ANNOTATION"), *tier.iter("REF_ANNOTATION")]:
            own, total = annotation.get("ANNOTATION_ID", ""), total + 1
            where = f"{document.name}: {attribute}, {own}"
            ends = [slots.get(annotation.get(f"TIME_SLOT_REF{i}")) for i in (1, 2)]
            if None not in ends:
                times[own] = tuple((float(end) + offset) / 1000 for end in ends)
            elif (other := annotation.get("ANNOTATION_REF")) in times:
                times[own] = times[other]
            else:
                export.bad.append(f"{where}: no start and end")
                continue
            value = " ".join((annotation.findtext("ANNOTATION_VALUE") or "").split())
            if not value:
                export.bad.append(f"{where}: the annotation is empty")
                continue
            video.spans.append(Span(*times[own], {attribute: (value,)}, where))
    if video.spans:
        export.videos.append(video)
    elif not export.bad:
        export.bad.append(f"{document.name}: no annotation on any tier")
    tiers = sorted({tier for span in video.spans for tier in span.values})
    export.notes.append(
        f"{document.name}: {total} annotations, {len(video.spans)} spans on {', '.join(tiers) or 'no tier'}"
    )
    return export
