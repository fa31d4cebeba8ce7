"""What the title of a table's column says: the words people use for videos, times, boxes and labels."""

from __future__ import annotations

import re
import unicodedata

_NAMES = {
    "video": "video video_id video_name vid vid_id vid_name youtube_id yt_id clip clip_id clip_name sequence "
    "sequence_id sequence_name seq seq_id seq_name movie movie_id movie_name film footage recording original_vido_id "
    "video_file video_filename video_path video_file_name video_title media_file_name media_file_path media_file "
    "media filename file file_name file_path filepath path source src datei fichier archivo name",
    "picture": "image image_name image_path image_file img img_name img_path frame_path frame_file frame_name "
    "frame_filename",
    "action": "action_name label_name class_name activity_name action_label class_label action_class action actions "
    "label labels class classes cls activity behavior behaviour verb event gesture category category_name tag tags "
    "behavior_name behaviour_name behavior_label behaviour_label event_name event_label event_type activity_label "
    "activity_class action_type gesture_name gloss emotion code classe verhalten handlung aktion klasse accion "
    "clase azione etiqueta comportement annotation_value annotation value action_id label_id class_id activity_id "
    "category_id action_label_id verb_class",
    "person": "person person_id pid track track_id tid tracklet tracklet_id entity entity_id actor actor_id object "
    "object_id obj obj_id instance instance_id subject subject_id player player_id identity id",
    "score": "score confidence conf prob probability detection_score det_score pred_score",
    "split": "split subset set partition",
    "tier": "tier tier_name",
    "status": "status behavior_type behaviour_type",
    "picture_width": "image_width img_width frame_width video_width image_w img_w frame_w video_w original_width",
    "picture_height": "image_height img_height frame_height video_height image_h img_h frame_h video_h original_height",
    "xyxy": "xyxy bbox_xyxy box_xyxy ltrb tlbr bbox_ltrb bbox_tlbr",
    "xywh": "xywh bbox_xywh box_xywh ltwh tlwh bbox_ltwh bbox_tlwh",
    "cxcywh": "cxcywh bbox_cxcywh box_cxcywh xywhn",
    "box": "bbox box bndbox bounding_box boundingbox bboxes boxes rect rectangle roi coordinates coords bb "
    "entity_box person_box person_bbox",
    "range": "segment segments interval time_range range span time_span time_segment temporal_segment timestamps "
    "start_end begin_end",
}
"""Meaning -> what its column is called, best first: of two such columns the one named earlier here is used."""
RANKS = {meaning: {name.replace("_", ""): i for i, name in enumerate(_NAMES[meaning].split())} for meaning in _NAMES}

_SIDES = {
    "x0": "x0",
    "y0": "y0",
    "x1": "x1|xa|xstart|startx|xmin|minx|left|xleft|leftx|xtl|tlx|xul|ulx|(?:top|upper)leftx|"
    "x(?:top|upper)left|left(?:top|upper)x",
    "y1": "y1|ya|ystart|starty|uppery|yupper|ymin|miny|top|ytop|topy|ytl|tly|yul|uly|(?:top|upper)lefty|"
    "y(?:top|upper)left|left(?:top|upper)y",
    "x2": "x2|xb|xend|endx|xmax|maxx|right|xright|rightx|xbr|brx|xlr|lrx|(?:bottom|lower)rightx|"
    "x(?:bottom|lower)right|"
    "right(?:bottom|lower)x",
    "y2": "y2|yb|yend|endy|lowery|ylower|ymax|maxy|bottom|ybottom|bottomy|ybr|bry|ylr|lry|"
    "(?:bottom|lower)righty|y(?:bottom|lower)right|"
    "right(?:bottom|lower)y",
    "cx": "cx|xc|xcent(?:er|re)|cent(?:er|re)x|xctr|ctrx|xmid|midx|centroidx|xcentroid",
    "cy": "cy|yc|ycent(?:er|re)|cent(?:er|re)y|yctr|ctry|ymid|midy|centroidy|ycentroid",
    "w": "w|width",
    "h": "h|height",
    "x": "x",
    "y": "y",
}
PEOPLE = ("person", "human", "people", "actor", "entity", "subject", "player")
_OWNER = (
    rf"(?:gt|pred|{'|'.join(PEOPLE)}|face|head|body|object|obj|bounding|bnd|box|b|rectangle|rect|roi|region|"
    "annotation|ann|coords?|pos|loc)"
)
_BOX_UNITS = {
    "fraction": r"norm(?:ali[sz]ed)?|rel(?:ative)?|frac(?:tion)?",
    "pixels": "abs(?:olute)?|px|pix|pixels?",
    "percent": "pct|percent(?:age)?",
    "": "coord(?:inate)?|pos(?:ition)?|value",
}
SIDE = {
    meaning: re.compile(
        rf"(?P<before>(?:norm(?:ali[sz]ed)?|rel(?:ative)?|abs(?:olute)?)?)(?P<owner>{_OWNER}*)(?:{core})(?P<unit>(?:{'|'.join(_BOX_UNITS.values())})*)",
    )
    for meaning, core in _SIDES.items()
}
_CLOCK_WORD = (
    r"(?:hhmmssms|hhmmss|ssmsec|ssms|timecode|time(?:stamp)?s?|zeit|milli(?:second)?s?|msecs?|ms|seconds?|secs?|s|"
    r"minutes?|mins?|(?:frame|frm|image|img)(?:s|no|nr|num|number|id|idx|index)?|fr|t|idx|index|point|pos(?:ition)?)"
)
_PART = (
    "(?:clip|segment|seg|event|action|activity|label|annotation|ann|behaviou?r|temporal|moment|interval|bout|gesture|"
    "sign)"
)
_START = (
    "(?:starts?|starting|begin(?:ning|s)?|beg|onset|from|in|first|t0|tmin|beginn|anfang|von|debut|inicio|inizio|desde)"
)
_END = "(?:ends?|ending|stops?|finish|offset|to|until|till|out|last|t1|tmax|ende|bis|fin|fine|hasta)"
_DURATION = "(?:duration|dur|length|len|dauer)"
TIMES = {
    meaning: re.compile(rf"(?:{_PART}|media|video)*(?P<before>{_CLOCK_WORD}*){core}(?P<after>{_CLOCK_WORD}*)")
    for meaning, core in {"start": _START, "end": _END}.items()
}
TIMES["duration"] = re.compile(rf"{_PART}*(?P<before>{_CLOCK_WORD}*){_DURATION}(?P<after>{_CLOCK_WORD}*)")
TIMES["time"] = re.compile(
    rf"(?:{_PART}|narration|middle|key|frame|video|current)*(?P<before>time(?:stamp|code)?s?|second|t|ts|zeit|temps|tiempo|"
    r"keyframe)(?:in)?(?P<after>(?:s|secs?|seconds?|ms|msecs?|milli(?:second)?s?|mins?|minutes?)?)|"
    r"(?P<only>secs?|seconds|s|ms|msecs?|milliseconds?)"
)
TIMES["frame"] = re.compile(
    rf"(?:{_PART}|key|video)*(?:(?:frame|frm)(?:s|no|nr|num|number|id|idx|index)?|fid|(?:image|img)(?:no|nr|num|number|"
    "idx|index))"
)
UNIT_RANK = {"s": 0, "": 1, "ms": 2, "min": 3, "frames": 4}

_METADATA = re.compile(
    r"(?:unnamed)?\d*|(?:row|line|entry|sample)?(?:id|idx|index|no|nr|num|number|row|line)|fps|framerate\w*|"
    r"fpsframes?|"
    r"(?:num|n|total|nb)(?:of)?frames?|framecount|frames|(?:video|clip|media|total|coding)?(?:duration|length)\w*|"
    r"(?:video|image|img|frame)?(?:width|height|size|resolution)|filesize|(?:is|has)[a-z]+|fold|views?|likes|ratings?|"
    r"(?:annotator|worker|coder|user|rater)(?:id)?|age|year|date\w*|created\w*|updated\w*|url|version|"
    r"(?:label|class|action|activity|category|verb|noun|person|track|entity|instance|split)(?:id|idx|index|no|num)|"
    r"score|conf(?:idence)?|prob(?:ability)?"
)
"""Numbers in columns of such names say nothing about when or where."""
_FLAGS = re.compile(
    r"(?:is|has)[a-z]+|[a-z]+(?:id|idx|index|count|number|num)|occluded|occlusion|outside|keyframe|truncated|truncation|difficult|crowd|generated|lost|visible|"
    r"valid|ignore|iscc"
)


MAX_TITLE = 48  # characters; nobody calls a column of a box or a time by more
_UNITS = {"s": "s", "sec": "s", "ms": "ms", "msec": "ms", "min": "min", "f": "frames", "fr": "frames"}
_ORDERS = (
    ("cxcywh", r"cxcywh|cxcywidthheight|x_?center_?y_?center_?w(?:idth)?h(?:eight)?"),
    ("xyxy", r"xyxy|x1y1x2y2|x0y0x1y1|xminyminxmaxymax|lefttoprightbottom|ltrb|xtlytlxbrybr"),
    ("xywh", r"xywh|xywidthheight|x1y1wh|x1y1widthheight|xminyminwidthheight|lefttopwidthheight|ltwh|xminyminwh"),
)


def list_order(title: str) -> str:
    """What the four numbers in a cell of a column are, where its title says: `bbox [x,y,w,h]`, `x1;y1;x2;y2`."""
    letters = re.sub(r"[^a-z0-9]+", "", title.lower()[: 2 * MAX_TITLE])
    owner = "(?:gt|pred|person|entity|bounding|bnd|b|box|rect|roi|coords?|coordinates|in|as)*"
    return next((order for order, names in _ORDERS if re.fullmatch(rf"{owner}(?:{names})n?", letters)), "")


def box_unit(title: str, suffix: str) -> str:
    """The unit of a box's side that its title says: "fraction", "pixels", "percent" or ""."""
    marks = " ".join(re.findall(r"[(\[]\s*(.*?)\s*[)\]]", title.lower()))
    if "%" in title:
        return "percent"
    for unit, pattern in _BOX_UNITS.items():
        if unit and (re.search(rf"(?:{pattern})$", suffix) or re.fullmatch(pattern, marks)):
            return unit
    return ""


def time_unit(title: str, words: str, meaning: str) -> str:
    """What a column counts, "s", "ms", "min" or "frames", by its title and the words of it for a unit; else ""."""
    if re.search(r"s[.,]ms", title.lower()):  # as ELAN has it: ss.msec, hh:mm:ss.ms
        return "s"
    last = re.split(r"[^a-z0-9]+", re.sub(r"[(\[].*", "", title.lower()).strip())[-1]
    if last in _UNITS and last != title.lower():
        return _UNITS[last]
    marks = " ".join(re.findall(r"[(\[]\s*(.*?)\s*[)\]]", title.lower()))
    for text in (marks, words):
        if re.search(r"frame|frm|image|img|^fr$|^f$", text):
            return "frames"
        if re.search(r"milli|^ms|msec$|(?<!ss)(?<!s)ms$", text) and "ssmsec" not in text:
            return "ms"
        if re.search(r"sec|^s$|(?<!time)(?<!timestamp)(?<!t)s$|hhmmss|ssms|hh:mm", text):
            return "s"
        if re.search(r"^min", text) or text.endswith(("mins", "minutes")):
            return "min"
    return "frames" if meaning == "frame" else ""


def is_metadata(title: str) -> bool:
    """Whether numbers in a column of this name say nothing about when or where."""
    return bool(_METADATA.fullmatch(plain_title(title)))


def is_video_title(title: str) -> bool:
    """Whether a title cannot but name videos."""
    return plain_title(title) in RANKS["video"] and any(
        word in title.lower() for word in ("video", "clip", "file", "youtube")
    )


def is_flag_title(title: str) -> bool:
    """Whether a column of zeros and ones with this name stands for something else than a class."""
    return bool(_FLAGS.fullmatch(plain_title(title)))


def plain_title(cell: str) -> str:
    """A header's cell without case, accents, units and marks."""
    bare = re.sub(r"\(.*?\)|\[.*?\]", "", cell).lower()
    bare = unicodedata.normalize("NFKD", bare)
    return re.sub(r"[^a-z0-9]+", "", bare)
