"""The results of one annotation of Label Studio: regions, spans and labels, and the frame rate that they state."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avsf_det.data.importers.export import LABEL, Export, ExportedVideo, Span, Track, Values, number, rotated, texts
from avsf_det.data.importers.frames import Frame

_RATES = (24.0, 30.0, 25.0, 24000 / 1001, 30000 / 1001, 50.0, 60.0, 60000 / 1001, 15.0, 12.0, 10.0, 20.0, 5.0, 1.0)
_PRECISION = 0.011  # seconds to which a keyframe's time may be rounded
_LABELS = ("labels", "timelinelabels", "videorectangle", "rectanglelabels", "choices", "taxonomy")
_SHAPES = ("polygon", "brush", "keypoint", "ellipse", "vector", "bitmask")


def stated_rate(results: Sequence[dict], where: str, export: Export) -> float | None:
    """The frame rate that keyframes state by their times, or else regions by framesCount and duration."""
    by_time = _rate_by_times(results)
    by_count = None
    for result in results:
        value = _value(result)
        count, duration = number(value.get("framesCount")), number(value.get("duration"))
        if not count or not duration or count < 0 or duration < 0 or not 0.1 <= count / duration <= 1000:
            continue
        usual = next((rate for rate in _RATES if abs(duration * rate - count) <= 1), None)
        by_count = usual or count / duration
        if usual and duration > 2:
            break
    if by_time and by_count and abs(by_time / by_count - 1) > 0.02:
        export.notes.append(
            f"{where}: the times of keyframes are of {by_time:g} frames per second, framesCount and duration of "
            f"{by_count:g}; the times are used"
        )
    return by_time or by_count


def _rate_by_times(results: Sequence[dict]) -> float | None:
    """Frames per second by `frame` and `time` of keyframes: time is frame / rate, or (frame - 1) / rate."""
    pairs = set()
    for result in results:
        sequence = _value(result).get("sequence")
        for keyframe in sequence if isinstance(sequence, list) else ():
            if isinstance(keyframe, dict):
                pairs.add((number(keyframe.get("frame")), number(keyframe.get("time"))))
    frames, times = np.array([p for p in pairs if None not in p and p[0] >= 1 and p[1] >= 0]).reshape(-1, 2).T
    if not len(times) or times.max() <= 0:
        return None
    errors = [
        (round(float(np.abs((frames - first) / rate - times).max()), 4), first, order, rate)
        for order, rate in enumerate(_RATES)
        for first in (0, 1)
    ]
    error, _, _, rate = min(errors)
    if error <= _PRECISION:
        return rate
    slope = float(np.ptp(frames) / np.ptp(times)) if np.ptp(times) > 0 else float(frames[0] / times[0])
    apart = np.abs((frames - frames.min()) / slope - (times - times.min())).max() if slope > 0 else np.inf
    return slope if apart <= _PRECISION and 0.1 <= slope <= 1000 else None


def _value(result: dict) -> dict:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


class Results:
    """The results of an annotation, to be added to the video or the frame that they are of.

    Args:
        results: the results.
        where: file and task, for messages.
        export: gets a line on each result that cannot be used.
        counts: what is ignored -> how many.
    """

    def __init__(self, results: Sequence[dict], where: str, export: Export, counts: Counter[str]) -> None:
        self._results, self._where, self._export, self._counts = results, where, export, counts
        self._boxes = ("rectanglelabels", "rectangle")
        self.has_image_boxes = any(result.get("type") in self._boxes for result in results)
        self._labels: dict[str, Values] = defaultdict(dict)
        for order, result in enumerate(results):
            for name, given in self._labels_of(result).items():
                own = self._labels[self._id(result, order)]
                own[name] = tuple(dict.fromkeys(own.get(name, ()) + given))

    def _id(self, result: dict, order: int) -> str:
        return str(result.get("id", f"result {order}"))

    def _labels_of(self, result: dict) -> Values:
        value, kind = _value(result), str(result.get("type", ""))
        if kind == "taxonomy":
            paths = value.get("taxonomy") if isinstance(value.get("taxonomy"), list) else []
            found = tuple("/".join(texts(path)) for path in paths if texts(path))
            return {str(result.get("from_name", kind)): found} if found else {}
        if kind in ("videorectangle", "rectangle"):
            given = texts(value.get("labels") or value.get("rectanglelabels") or [])
        elif kind in _LABELS:
            given = texts(value.get(kind) or value.get("labels") or [])
        else:
            return {}
        name = str(result.get("from_name", kind)) if kind == "choices" else LABEL
        return {name: given} if given else {}

    def _others(self, *used: str) -> None:
        """Name and count results of types that are not used."""
        for result in self._results:
            kind = str(result.get("type", ""))
            if kind in _LABELS and not _value(result):
                self._export.bad.append(f"{self._where}, region {result.get('id', '?')}: a result without a value")
                continue
            if kind in used or kind in ("choices", "taxonomy"):
                continue
            if kind.startswith(_SHAPES) or kind in ("videorectangle", *self._boxes, "labels", "timelinelabels"):
                self._export.bad.append(
                    f"{self._where}, region {result.get('id', '?')}: a result of type {kind} is not used here; "
                    "expected a box"
                )
            else:
                self._counts[f"results of type {kind or '?'} are ignored"] += 1

    def add_to_frame(self, frame: Frame | None) -> None:
        """Add the boxes of an image, in percent of it, and its labels."""
        if frame is None:
            return
        frame.video.picture = (100.0, 100.0)
        regions = set()
        for order, result in enumerate(self._results):
            if result.get("type") not in self._boxes:
                continue
            id, value = self._id(result, order), _value(result)
            where, box = f"{self._where}, region {id}", [number(value.get(k)) for k in ("x", "y", "width", "height")]
            regions.add(id)
            if None in box:
                self._export.bad.append(f"{where}: got {str(value)[:100]}, expected x, y, width and height")
                continue
            x, y, width, height = box
            corners = (x, y, x + width, y + height)
            if turn := number(value.get("rotation")) or 0.0:
                size = number(result.get("original_width")), number(result.get("original_height"))
                if not size[0] or not size[1]:
                    self._export.bad.append(f"{where}: turned by {turn:g} degrees, without original_width; left out")
                    continue
                scale = np.tile(np.array(size) / 100, 2)
                pixels = corners * scale  # Label Studio turns about the top left corner
                corners = tuple(np.array(rotated(pixels, turn, (pixels[0], pixels[1]))) / scale)
                self._counts["rotated boxes are replaced by the boxes that enclose them"] += 1
            frame.add(corners, self._labels[id], where)
        for order, result in enumerate(self._results):
            id = self._id(result, order)
            if result.get("type") in ("choices", "taxonomy") and id not in regions and self._labels[id]:
                frame.tag(self._labels[id], f"{self._where}, result {id}")
        self._others(*self._boxes)

    def add_to_video(self, video: ExportedVideo, in_seconds: ExportedVideo) -> None:
        """Add regions and timeline labels, which count frames, and those on audio, in seconds."""
        done = set()
        for order, result in enumerate(self._results):
            value, id = _value(result), self._id(result, order)
            where, kind = f"{self._where}, region {id}", result.get("type")
            if kind == "videorectangle":
                self._add_region(value, self._labels[id], id, where, video)
            elif kind == "timelinelabels":
                self._add_ranges(value, self._labels[id], where, video)
            elif kind in ("labels", "choices", "taxonomy") and id not in done and {"start", "end"} <= value.keys():
                if not any(r.get("id") == id and r.get("type") == "videorectangle" for r in self._results):
                    self._add_seconds(value, self._labels[id], where, in_seconds)
            else:
                continue
            done.add(id)
        least = [track.places[0] for track in video.tracks]
        least += [span.start for span in video.spans if span.start is not None]
        if min(least, default=1) < 1:
            video.clock = replace(video.clock, first=0)
            self._counts["tasks count frames from 0, not from 1"] += 1
        for order, result in enumerate(self._results):
            id = self._id(result, order)
            if result.get("type") in ("choices", "taxonomy", "labels") and id not in done and self._labels[id]:
                video.spans.append(Span(None, None, self._labels[id], f"{self._where}, result {id}"))
                self._counts["labels without a region or times are of their whole videos"] += 1
                done.add(id)
        self._others("videorectangle", "timelinelabels", "labels")

    def _add_ranges(self, value: dict, values: Values, where: str, video: ExportedVideo) -> None:
        ranges = value.get("ranges")
        for span in ranges if isinstance(ranges, list) and ranges else [ranges]:
            ends = [number(span.get(key)) for key in ("start", "end")] if isinstance(span, dict) else [None]
            if None in ends or ends[0] > ends[1]:
                self._export.bad.append(f"{where}: got {str(span)[:100]} for a span, expected start and end in frames")
            else:
                video.spans.append(Span(ends[0], ends[1] + 1, values, where))

    def _add_seconds(self, value: dict, values: Values, where: str, video: ExportedVideo) -> None:
        start, end = number(value["start"]), number(value["end"])
        if start is None or end is None or not start < end or "text" in value or "startOffset" in value:
            self._export.bad.append(f"{where}: got {str(value)[:100]}, expected start and end of audio in seconds")
        else:
            video.spans.append(Span(start, end, values, where))

    def _add_region(self, value: dict, values: Values, id: str, where: str, video: ExportedVideo) -> None:
        places, boxes, shown = [], [], []
        sequence = value.get("sequence")
        for keyframe in sequence if isinstance(sequence, list) else ():
            given = [
                number(keyframe.get(key)) if isinstance(keyframe, dict) else None
                for key in ("frame", "x", "y", "width", "height")
            ]
            if None in given:
                self._export.bad.append(f"{where}: got {str(keyframe)[:100]}, expected frame, x, y, width and height")
                continue
            place, x, y, width, height = given
            if keyframe.get("rotation"):
                turn = str(keyframe["rotation"])[:20]
                self._export.bad.append(f"{where}, frame {place:g}: turned by {turn} degrees; draw it upright")
                continue
            places.append(place)
            boxes.append((x, y, x + width, y + height))
            shown.append(True)
            if keyframe.get("enabled") is False:  # the last frame that it is on
                places.append(place + 1)
                boxes.append(boxes[-1])
                shown.append(False)
        if not places:
            self._export.bad.append(f"{where}: no keyframe in its sequence can be used")
            return
        if shown[-1]:  # stays as it is to the end
            places.append(math.inf)
            boxes.append(boxes[-1])
            shown.append(True)
        video.tracks.append(Track(places, boxes, [values] * len(places), where, id, shown, interpolated=True))
