"""Which column of a table like AVA's is what: by its header, whatever that calls them, or in AVA's order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NAMES = {
    "video": "video video_id video_name vid vid_id vid_name youtube_id yt_id clip clip_id clip_name sequence "
    "sequence_id sequence_name seq seq_id seq_name movie movie_id movie_name film footage recording original_vido_id "
    "filename file file_name file_path filepath path name",
    "picture": "image image_name image_path image_file img img_name img_path frame_path frame_file frame_name "
    "frame_filename",
    "time": "time timestamp second seconds sec secs t ts time_s time_sec time_secs time_seconds timestamp_s "
    "timestamp_sec timestamp_seconds timestamps middle_frame_timestamp frame_timestamp frame_time "
    "keyframe_timestamp keyframe",
    "ms": "ms time_ms timestamp_ms msec milliseconds timestamp_msec time_msec",
    "frame": "frame frame_id frame_no frame_nr frame_num frame_number frame_index frame_idx fid frm",
    "x1": "x1 xmin min_x left xtl top_left_x bbox_x1 bbox_xmin bbox_left box_x1 bb_left x bbox_x box_x",
    "y1": "y1 ymin min_y top ytl top_left_y bbox_y1 bbox_ymin bbox_top box_y1 bb_top y bbox_y box_y",
    "x2": "x2 xmax max_x right xbr bottom_right_x bbox_x2 bbox_xmax bbox_right box_x2",
    "y2": "y2 ymax max_y bottom ybr bottom_right_y bbox_y2 bbox_ymax bbox_bottom box_y2",
    "cx": "cx x_center center_x x_centre centre_x xc bbox_cx",
    "cy": "cy y_center center_y y_centre centre_y yc bbox_cy",
    "w": "w width box_width box_w bbox_w bbox_width bb_width bw",
    "h": "h height box_height box_h bbox_h bbox_height bb_height bh",
    "picture_width": "image_width img_width frame_width video_width image_w img_w frame_w video_w",
    "picture_height": "image_height img_height frame_height video_height image_h img_h frame_h video_h",
    "action": "action_name label_name class_name activity_name action_label class_label action_class action actions "
    "label labels class classes cls activity behavior behaviour verb event gesture category category_name action_id "
    "label_id class_id activity_id category_id",
    "person": "person person_id pid track track_id tid tracklet tracklet_id entity entity_id actor actor_id object "
    "object_id obj obj_id instance instance_id subject subject_id player player_id identity id",
    "start": "start start_time start_sec start_seconds start_s t_start begin begin_time from onset",
    "end": "end end_time end_sec end_seconds end_s t_end stop stop_time to offset",
    "split": "split subset set partition",
}
"""Meaning -> what its column is called, best first: of two such columns the one named earlier here is taken."""
_RANKS = {meaning: {name.replace("_", ""): i for i, name in enumerate(_NAMES[meaning].split())} for meaning in _NAMES}
ORDER = ("video", "time", "x1", "y1", "x2", "y2", "action", "person")
_NUMBER = re.compile(r"[-+]?\d*[.,]?\d+(e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        places: meaning -> number of the column.
        titles: meaning -> what the header calls it; empty where there is none that is understood.
    """

    places: Mapping[str, int]
    titles: Mapping[str, str]

    @property
    def has_box(self) -> bool:
        """Whether rows are boxes; else they are spans."""
        return "x1" in self.places or "cx" in self.places

    @property
    def lacking(self) -> str:
        """What a table of boxes needs and this one has not, in words; "" for nothing."""
        there = set(self.places)
        needs = {
            "the video": {"video", "picture"},
            "the time or the frame": {"time", "ms", "frame", "start", "picture", "video"},
            "the right side of the box": {"x2", "w"},
            "the lower side of the box": {"y1", "cy"} if not there & {"y1", "cy"} else {"y2", "h"},
            "the action": {"action"},
        }
        return " and ".join(what for what, any_of in needs.items() if not there & any_of)

    def text(self) -> str:
        """Which column is what, for a note."""
        return ", ".join(f"{meaning} {title!r}" for meaning, title in self.titles.items())


def in_order(first: int = 0) -> Columns:
    """The columns of a table without a header: AVA's, from the column `first` on."""
    return Columns({meaning: first + column for column, meaning in enumerate(ORDER)}, {})


def by_header(cells: Sequence[str]) -> Columns | None:
    """The columns that a header names: `Time (s)`, `# Video ID`, `x-min [px]` and `TrackID` are known too.

    None if the cells are no header, or name neither a video nor a box.
    """
    plain = [_plain(cell) for cell in cells]
    if "x0" in plain and "x1" in plain:  # corners 0 and 1
        plain = [{"x0": "x1", "y0": "y1", "x1": "x2", "y1": "y2"}.get(cell, cell) for cell in plain]
    places = {}
    for meaning, ranks in _RANKS.items():
        known = [(ranks[cell], column) for column, cell in enumerate(plain) if cell in ranks]
        if known:
            places[meaning] = min(known)[1]
    if {"x2", "y2"} <= set(places):  # a width beside both corners is that of the picture
        for own, pictures in (("w", "picture_width"), ("h", "picture_height")):
            if own in places:
                places.setdefault(pictures, places.pop(own))
    if {"x1", "y1"} <= set(places) and not {"time", "ms", "frame", "start"} & set(places):
        _place_by_order("time", plain, places)
    if {"x1", "y1"} <= set(places):
        _place_by_order("action", plain, places)
    named = {"video", "picture"} & set(places) or len({"x1", "y1", "x2", "y2", "w", "h"} & set(places)) >= 4
    if not named or len(places) < min(3, len(cells)) or sum(map(is_number, cells)) > 1:
        return None
    return Columns(places, {meaning: cells[column] for meaning, column in places.items()})


def _place_by_order(meaning: str, plain: Sequence[str], places: dict[str, int]) -> None:
    """A column of another language's name is what AVA has there."""
    column = ORDER.index(meaning)
    if meaning not in places and column < len(plain) and column not in places.values():
        places[meaning] = column


def is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    return bool(_NUMBER.fullmatch(cell))


def _plain(cell: str) -> str:
    """A header's cell without case, units and marks; milliseconds stay."""
    unit = re.search(r"[(\[]\s*(?:ms|msec|milliseconds)\s*[)\]]", cell, re.IGNORECASE)
    bare = re.sub(r"\(.*?\)|\[.*?\]", "", cell).lower()
    return re.sub(r"[^a-z0-9]+", "", bare) + ("ms" if unit else "")
