"""A page to play a video with what was found in it: one HTML file that needs nothing but the video beside it.

Boxes are drawn over the video while it plays. No text of the page comes to be markup or script: what is named in a
file or a label map is data, the only script is known by its hash, and nothing is fetched from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from PIL import Image

from avsf_det.structures import Persons
from avsf_det.visual.page_script import SCRIPT
from avsf_det.visual.palette import ADDED, TOOK, Colour, group_colours, ink_on, person_colour, score_colours
from avsf_det.visual.text import clock, short_names
from avsf_det.visual.timeline_page import LEAST_CHANGE
from avsf_det.visual.waveform import Envelope, loudness_gain

LEAST_SCORE = 0.05  # lower scores are not in the page; the slider begins here
_WAVE_COLUMNS = 1600
_PORTRAIT = 56  # pixels
_MOST_PORTRAITS = 100
_RAMP = 21  # steps of the scores' colours

_STYLE = """
* { box-sizing: border-box }
body { font: 14px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; color: #22282d; margin: 0 }
body { background: #f4f6f7 }
main { max-width: 1320px; margin: 0 auto; padding: 18px 24px 40px; background: #fff; min-height: 100vh }
h1 { font-size: 21px; margin: 0; overflow-wrap: anywhere }
.facts { color: #5b656d; margin: 2px 0 14px }
#note { overflow-wrap: anywhere }
#note:not(:empty) { background: #fff4e0; border-left: 4px solid #d9822b; padding: 7px 12px; margin: 0 0 12px }
.top { display: grid; grid-template-columns: minmax(0, 1fr) 290px; gap: 20px; align-items: start }
#stage { position: relative; background: #121218; border-radius: 6px; overflow: hidden }
#video { display: block; width: 100%; height: auto; max-height: 58vh }
#stage:fullscreen #video { height: 100vh; max-height: none }
#overlay { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none }
.bar { display: flex; justify-content: space-between; align-items: center; margin: 6px 0 0; color: #5b656d }
#time { font-variant-numeric: tabular-nums }
button { font: inherit; font-size: 12px; border: 1px solid #cfd5da; background: #fff; border-radius: 4px }
button { padding: 1px 9px; cursor: pointer }
button:hover { background: #eef1f3 }
fieldset { border: 0; padding: 0; margin: 0 0 16px; min-width: 0 }
legend { font-weight: 600; padding: 0; margin: 0 0 4px }
legend button { margin-left: 6px; font-weight: 400 }
#threshold { width: 100%; margin: 2px 0 }
label b { border-bottom: 4px solid; font-weight: 400 }
#value { color: #5b656d; font-weight: 400; margin-left: 6px; font-variant-numeric: tabular-nums }
.list { max-height: 218px; overflow-y: auto; border: 1px solid #e1e5e8; border-radius: 6px; padding: 4px 8px }
.list label { display: flex; align-items: center; gap: 7px; padding: 1px 0 }
.list span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.list small { margin-left: auto; color: #5b656d; white-space: nowrap; font-variant-numeric: tabular-nums }
.list img { width: 30px; height: 30px; border: 2px solid; border-radius: 4px }
.list .badge { border-radius: 4px; padding: 0 7px; font-weight: 600 }
#timeline { position: relative; margin-top: 18px; outline-offset: 4px; overflow: hidden }
#lanes { display: block; width: 100%; cursor: pointer; touch-action: none }
#head { position: absolute; top: 0; bottom: 18px; left: -1px; width: 2px; background: #d9412b; pointer-events: none }
#others { color: #5b656d }
@media (max-width: 900px) { .top { grid-template-columns: 1fr } }
"""
_BODY = """<main>
<h1>{title}</h1>
<p class="facts">{facts}</p>
<div id="note"></div>
<div class="top">
<div>
<div id="stage"><video id="video" controls controlslist="nofullscreen" preload="auto" playsinline></video>
<canvas id="overlay"></canvas></div>
<div class="bar"><span id="time"></span><button id="full" type="button">full screen</button></div>
</div>
<div>
<fieldset><legend>score from <span id="value"></span></legend>
<input id="threshold" type="range" min="{least}" max="1" step="0.01" aria-label="score from which an action is shown">
<label hidden><input id="own" type="checkbox"> each class from its own score</label>
<label hidden><input id="sound" type="checkbox" checked> what sound
<b style="border-color:{added}">added</b> and <b style="border-color:{took}">took</b></label></fieldset>
<fieldset><legend>actions <button id="classes-all" type="button">all</button>
<button id="classes-none" type="button">none</button></legend>
<div id="classes" class="list"></div></fieldset>
<fieldset><legend>persons <button id="persons-all" type="button">all</button>
<button id="persons-none" type="button">none</button></legend>
<div id="persons" class="list"></div></fieldset>
</div>
</div>
<div id="timeline" tabindex="0" aria-label="timeline: a click shows a moment, arrow keys go by keyframes">
<canvas id="lanes"></canvas><div id="head"></div></div>
<p id="others"></p>
</main>
"""


def player_page(
    sources: Sequence[tuple[str, bool]],
    title: str,
    times: Sequence[float],
    persons_per_time: Sequence[Persons],
    class_names: Sequence[str],
    groups: Sequence[str] | None,
    duration: float,
    cuts: Sequence[float] = (),
    envelope: Envelope | None = None,
    thumbnails: Mapping[int, np.ndarray] | None = None,
    threshold: float | Sequence[float] = 0.3,
    top_k: int = 3,
) -> str:
    """The page of one video, as text.

    Where persons have scores without sound (`Persons.silent`), labels and timeline tell what sound added to a score or
    took from it.

    Args:
        sources: the video as URLs, percent-encoded and relative to the page, each with whether boxes are drawn in its
            picture; the first one that the browser can play is taken.
        title: the file's name.
        times: seconds of the keyframes, rising.
        persons_per_time: as many `Persons`.
        class_names: K names, in the order of `Persons.actions`.
        groups: K names of groups, each of which gets a colour; None is one group.
        duration: of the video, in seconds, above 0.
        cuts: seconds at which new shots begin, rising.
        envelope: the sound's; None where there is no sound track.
        thumbnails: person id -> (h, w, 3) uint8 RGB square.
        threshold: the score from which an action is shown at first; one for all, or K.
        top_k: actions shown for a person at most.
    """
    single = isinstance(threshold, int | float)
    explained = any(persons.silent.size for persons in persons_per_time)
    data = {
        "sources": [{"src": url, "drawn": drawn} for url, drawn in sources],
        "duration": duration,
        "times": [round(float(time), 6) for time in times],
        "cuts": [round(float(cut), 6) for cut in cuts],
        "classes": short_names(class_names),
        "colours": [_css(colour) for colour in group_colours(groups, len(class_names))],
        "ramp": [_css(colour) for colour in score_colours(np.linspace(0, 1, _RAMP)).tolist()],
        "threshold": max(LEAST_SCORE, float(threshold if single else np.median(threshold))),
        "thresholds": None if single else [max(LEAST_SCORE, float(score)) for score in threshold],
        "most": top_k,
        "persons": _persons(persons_per_time, thumbnails or {}),
        "frames": [_frame(persons) for persons in persons_per_time],
        "change": {"added": _css(ADDED), "took": _css(TOOK), "least": LEAST_CHANGE} if explained else None,
        "wave": None if envelope is None else _wave(envelope, duration),
    }
    count = len(data["persons"])
    facts = f"{clock(duration, 1)} · {count} person{'' if count == 1 else 's'} · {len(times)} keyframes"
    body = _BODY.format(title=escape(title), facts=facts, least=LEAST_SCORE, added=_css(ADDED), took=_css(TOOK))
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "media-src 'self' file:"
    )
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style></head>\n<body>{body}"
        f'<script type="application/json" id="data">{_inert(data)}</script>\n'
        f"<script>{SCRIPT}</script>\n</body></html>\n"
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # a file's name may hold bytes that are no text


def _inert(data: object) -> str:
    """JSON in which nothing can end the element that it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _frame(persons: Persons) -> list[list]:
    """Of each person of a keyframe the id, the box, and of each action that may be shown [class, score, what sound
    added to it], the last of these only where that is known."""
    silent = persons.silent if persons.silent.size else [None] * len(persons)
    rows = []
    for person_id, box, actions, without in zip(persons.ids.tolist(), persons.boxes, persons.actions, silent):
        numbers = [actions] if without is None else [actions, actions - without]
        scores = [
            [c, *(round(float(n[c]), 3) for n in numbers)] for c in np.flatnonzero(actions >= LEAST_SCORE).tolist()
        ]
        rows.append([person_id, [round(float(side), 4) for side in box], scores])
    return rows


def _persons(persons_per_time: Sequence[Persons], thumbnails: Mapping[int, np.ndarray]) -> list[dict[str, object]]:
    """The persons by first appearance, with portraits of those seen longest."""
    seen: dict[int, int] = {}
    for persons in persons_per_time:
        for person_id in persons.ids.tolist():
            seen[person_id] = seen.get(person_id, 0) + 1
    pictured = set(sorted(seen, key=lambda person_id: -seen[person_id])[:_MOST_PORTRAITS]) & thumbnails.keys()
    return [
        {
            "id": person_id,
            "colour": _css(person_colour(person_id)),
            "ink": _css(ink_on(person_colour(person_id))),
            "picture": _portrait(thumbnails[person_id]) if person_id in pictured else "",
        }
        for person_id in seen
    ]


def _portrait(image: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(image).resize((_PORTRAIT, _PORTRAIT), Image.Resampling.LANCZOS).save(data, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _wave(envelope: Envelope, duration: float) -> str:
    """Base64 of the lowest and highest sample of each column, -1..1 as bytes 1..255."""
    columns = envelope.columns(duration / _WAVE_COLUMNS, _WAVE_COLUMNS)
    levels = (columns * loudness_gain(columns)).clip(-1, 1)
    return base64.b64encode((128 + 127 * levels).round().astype(np.uint8).tobytes()).decode()


def _css(colour: Colour) -> str:
    red, green, blue = colour
    return f"rgb({red},{green},{blue})"
