"""What a check found of a dataset as one HTML file, with its classes, its videos and some keyframes drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
from PIL import Image

from ava_eval import markup
from avsf_det.data.annotations import AnnotatedKeyframe
from avsf_det.data.check import summary
from avsf_det.data.finding import ERROR, FACT, WARNING, Finding
from avsf_det.data.survey import Split, Survey
from avsf_det.errors import UserError
from avsf_det.media.source import open_video
from avsf_det.visual.draw import Annotator

SAMPLES = 8  # keyframes of each split that are drawn
SIDE = 240  # pixels of their short side
QUALITY = 80  # of their JPEG
SHOWN = 200  # items of a finding, and videos, that are listed
FEW = 5  # items that need no click to be seen
BAR = 160  # pixels of the longest


def dataset_page(survey: Survey, findings: Sequence[Finding]) -> str:
    """The page.

    Args:
        survey: the dataset.
        findings: what `check_dataset` found of it.
    """
    title = f"Dataset {survey.folder.root.resolve().name}"
    count = {level: sum(finding.level == level for finding in findings) for level in (ERROR, WARNING)}
    keyframes = [split.keyframes for split in survey.splits]
    readable = [video for video in survey.videos.values() if video.info]
    minutes = sum(video.info.duration - video.start for video in readable) / 60
    tiles = [
        ("to mend", f"{count[ERROR]:,}"),
        ("warnings", f"{count[WARNING]:,}"),
        ("videos", f"{len(survey.videos):,}"),
        ("minutes", f"{minutes:,.1f}"),
        ("keyframes", f"{sum(map(len, keyframes)):,}"),
        ("persons", f"{sum(len(some.boxes) for some in keyframes):,}"),
        ("labels", f"{sum(some.class_counts.sum() for some in keyframes):,}"),
        ("classes", f"{len(survey.folder.label_map):,}"),
    ]
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=files>{escape(str(survey.folder.root))}</p>",
        markup.tiles(tiles),
        "<h2>What was found</h2>",
        f"<p>{escape(summary(findings))}.</p>",
        *(_finding(f) for level in (ERROR, WARNING) for f in findings if f.level == level),
        "<h2>Facts</h2>",
        _facts([finding for finding in findings if finding.level == FACT]),
        "<h2>Labels of each class</h2>",
        _class_table(survey),
        "<h2>Some keyframes</h2>",
        *(_samples(survey, split) for split in survey.splits),
        "<h2>Videos</h2>",
        _video_table(survey),
    ]
    return markup.page(title, body)


def _finding(finding: Finding) -> str:
    where = f"<b>{escape(finding.where)}</b>: " if finding.where else ""
    cure = f"<br><i>{escape(finding.cure)}</i>" if finding.cure else ""
    items = "".join(f"<li>{escape(item)}</li>" for item in finding.items[:SHOWN])
    left_out = len(finding.items) - SHOWN
    items += f"<li>and {left_out:,} more</li>" if left_out > 0 else ""
    opened = " open" if len(finding.items) <= FEW else ""
    listed = (
        f"<details{opened}><summary>{len(finding.items):,} in detail</summary><ul>{items}</ul></details>"
        if items
        else ""
    )
    kind = "error" if finding.level == ERROR else "warning"
    return f"<div class={kind}>{where}{escape(finding.what)}{cure}{listed}</div>"


def _facts(facts: Sequence[Finding]) -> str:
    what = [f"<td class=text>{escape(fact.what)}</td>" for fact in facts]
    return markup.table(["", ""], [[fact.where] for fact in facts], what)


def _class_table(survey: Survey) -> str:
    label_map, splits = survey.folder.label_map, survey.splits
    counts = [split.keyframes.class_counts for split in splits]
    most = [max(int(of_split.max(initial=0)), 1) for of_split in counts]
    rows, bars = [], []
    for column, (name, group) in enumerate(zip(label_map.names, label_map.groups)):
        own = [int(of_split[column]) for of_split in counts]
        rows.append([name, group, *(f"{number:,}" for number in own)])
        bars.append("".join(f"<td>{_bar(number / top)}</td>" for number, top in zip(own, most)))
    names = [split.name for split in splits]
    return markup.table(["class", "group", *names, *(f"share of the commonest, {name}" for name in names)], rows, bars)


def _bar(share: float) -> str:
    width = f"{BAR * share:.1f}"
    return f'<svg width="{BAR}" height="10"><rect width="{width}" height="10" fill="#3b6fb6"/></svg>'


def _video_table(survey: Survey) -> str:
    times = {split.name: split.keyframes.by_video() for split in survey.splits}
    rows = []
    for name, video in list(survey.videos.items())[:SHOWN]:
        of = [split for split, videos in times.items() if name in videos]
        if video.info is None:
            rows.append([name, ", ".join(of), str(len(video.times)), "–", "–", "–", "cannot be read"])
            continue
        info = video.info
        sound = f"{info.sample_rate / 1000:g} kHz x {info.channels}" if info.has_audio else "none"
        length, rate = f"{info.duration - video.start:.1f}", f"{float(info.fps):.5g}"
        rows.append([name, ", ".join(of), str(len(video.times)), length, rate, f"{info.width}x{info.height}", sound])
    header = ["video", "split", "keyframes", "seconds", "frames a second", "size", "sound"]
    left_out = len(survey.videos) - SHOWN
    return markup.table(header, rows) + (f"<p>and {left_out:,} more.</p>" if left_out > 0 else "")


def _samples(survey: Survey, split: Split) -> str:
    """Keyframes spread evenly over a split, with the boxes, person ids and actions of their rows."""
    pictures = [
        markup.picture(_jpeg(picture), f"{keyframe.video_id} at {keyframe.time:g} s", "jpeg")
        for keyframe, picture in _drawn(survey, split)
    ]
    shown = markup.row(*pictures) if pictures else "<p>None of them can be read.</p>"
    return f"<p><b>{escape(split.name)}</b></p>{shown}"


def _drawn(survey: Survey, split: Split) -> Iterator[tuple[AnnotatedKeyframe, np.ndarray]]:
    label_map = survey.folder.label_map
    there = survey.folder.is_present(split.keyframes) & ~split.excluded
    keyframes = split.keyframes.select(there)
    for index in np.unique(np.linspace(0, len(keyframes) - 1, SAMPLES).round().astype(int)) if len(keyframes) else ():
        keyframe = keyframes[int(index)]
        try:
            with open_video(survey.folder.videos[keyframe.video_id], SIDE) as video:
                (image,) = video.frames_at([keyframe.time])
        except UserError:
            continue  # the check has named it
        annotator = Annotator(label_map.names, label_map.groups, top_k=len(label_map))
        yield keyframe, annotator.draw(image, keyframe.persons)


def _jpeg(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
