import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsf_det.structures import Persons
from avsf_det.visual.interpolation import interpolate
from avsf_det.visual.page import LEAST_SCORE, player_page
from avsf_det.visual.page_script import SCRIPT
from avsf_det.visual.timeline_page import LEAST_CHANGE
from avsf_det.visual.waveform import Envelope

HOSTILE = "</script><script>alert`1`</script><img src=x onerror=alert`1`>&\"'"
VOID = {"meta", "input", "img", "br"}


class Elements(HTMLParser):
    """The elements of a page, what is in its scripts, and whether they are closed in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts, self.urls, self._open = [], [], [], []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.urls += [value for name, value in attributes if name in ("src", "href", "data", "action")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] == ["script"]:
            self.scripts.append(data)


def page(title="film.mp4", names=("stand", "clap"), persons=(), times=(), **options):
    return player_page([("film.mp4", False)], title, times, persons, names, None, 4.0, **options)


def data_of(text):
    return json.loads(Elements(text).scripts[0])


def some(*people, ids):
    return Persons([box for box, _ in people], np.ones(len(people)), ids, [scores for _, scores in people])


PERSONS = [
    some(((0.1, 0.2, 0.3, 0.9), (0.8, 0.01)), ids=[7]),
    Persons.none(),
    some(((0, 0, 1, 1), (0.1, 1.0)), ids=[7]),
]


def test_the_page_holds_boxes_and_the_scores_that_may_be_shown():
    data = data_of(page(persons=PERSONS, times=[0, 1.5, 3]))
    assert data["times"] == [0, 1.5, 3] and data["classes"] == ["stand", "clap"]
    assert data["frames"] == [[[7, [0.1, 0.2, 0.3, 0.9], [[0, 0.8]]]], [], [[7, [0, 0, 1, 1], [[0, 0.1], [1, 1.0]]]]]
    assert [one["id"] for one in data["persons"]] == [7] and data["threshold"] == 0.3 and data["thresholds"] is None


def test_what_sound_added_is_in_the_page_where_that_is_known():
    heard = PERSONS[2].replace(silent=[(0.4, 0.25)])
    data = data_of(page(persons=[heard, Persons.none()], times=[0, 1]))
    assert data["frames"][0] == [[7, [0, 0, 1, 1], [[0, 0.1, -0.3], [1, 1.0, 0.75]]]]
    assert data["change"]["least"] == LEAST_CHANGE and data["change"]["added"] != data["change"]["took"]
    assert data_of(page(persons=PERSONS, times=[0, 1, 2]))["change"] is None


def test_thresholds_of_the_classes_come_along():
    data = data_of(page(threshold=(0.9, 0.01)))
    assert data["thresholds"] == [0.9, LEAST_SCORE]


def test_names_are_never_markup():
    clean, text = Elements(page()), page(HOSTILE, (HOSTILE, "clap" + HOSTILE), PERSONS, [0, 1, 2])
    elements = Elements(text)
    assert elements.tags == clean.tags and elements.scripts[1] == SCRIPT
    assert json.loads(elements.scripts[0])["classes"][1] == "clap" + HOSTILE


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text(min_size=1))
def test_any_name_gives_the_same_elements(title, name):
    elements = Elements(page(title, (name, f"{name}2")))
    assert elements.tags == Elements(page()).tags and len(elements.scripts) == 2


def test_a_name_that_is_no_text_is_written_all_the_same():
    page("film\udce9.mp4").encode()


def test_nothing_is_fetched_and_only_the_pages_own_script_may_run():
    text = page(persons=PERSONS, times=[0, 1, 2], thumbnails={7: np.zeros((128, 128, 3), np.uint8)})
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    digest = base64.b64encode(hashlib.sha256(Elements(text).scripts[1].encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}';" in policy
    assert not re.search(r"https?://", text) and Elements(text).urls == []
    assert data_of(text)["persons"][0]["picture"].startswith("data:image/jpeg;base64,")


def test_the_waveform_is_loud_where_the_sound_is():
    envelope = Envelope(1000)
    envelope.add(np.concatenate((np.zeros(2000), np.tile((1.0, -1.0), 1000))))
    wave = np.frombuffer(base64.b64decode(data_of(page(envelope=envelope))["wave"]), np.uint8).reshape(-1, 2)
    middle = len(wave) // 2
    assert (wave[: middle - 5] == 128).all() and (wave[middle + 5 : -5] == (1, 255)).all()
    assert data_of(page())["wave"] is None


# In node, with a document that answers everything with itself.
STUB = """
const zero = key => key === 'width' || key.toString().startsWith('client');
const any = new Proxy(function () {}, {
  get: (target, key) => key === Symbol.toPrimitive ? () => 0 : zero(key) ? 0 : any,
  set: () => true, apply: () => any, construct: () => any,
});
globalThis.document = {getElementById: id => id === 'data' ? {textContent: DATA} : any, createElement: () => any};
globalThis.window = {devicePixelRatio: 1};
globalThis.ResizeObserver = globalThis.Image = any;
globalThis.requestAnimationFrame = () => {};
"""


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_people_move_in_the_page_as_they_do_in_the_mp4(tmp_path):
    stands = (0.7, 0, 0.9, 1), (0.5, 0.5)
    walk = [some(((x, 0.1, x + 0.2, 0.9), (0.5, 0.5)), stands, ids=[1, i]) for i, x in ((2, 0.0), (3, 0.1), (3, 0.4))]
    walk += [Persons.none(), some(((0.3, 0, 0.5, 1), (0.5, 0.5)), ids=[1])]
    times, cuts = [0.5, 1.0, 1.5, 2.0, 3.0], [1.2]
    data = json.dumps(json.dumps(data_of(page(persons=walk, times=times, cuts=cuts))))
    moments = np.arange(0, 4, 0.05).round(2).tolist()
    code = f"const DATA = {data};\n{STUB}\n{SCRIPT}\nconsole.log(JSON.stringify({json.dumps(moments)}.map(at)));"
    (tmp_path / "page.js").write_text(code)
    done = subprocess.run(["node", tmp_path / "page.js"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for t, found in zip(moments, json.loads(done.stdout), strict=True):
        expected = interpolate(times, walk, t, cuts)
        assert [one[0] for one in found] == expected.ids.tolist(), t
        np.testing.assert_allclose(np.array([one[1] for one in found]).reshape(-1, 4), expected.boxes, atol=2e-4)
