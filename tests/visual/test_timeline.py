import numpy as np
import pytest
from PIL import Image

from avsf_det.errors import UserError
from avsf_det.structures import Persons
from avsf_det.visual import palette, timeline, timeline_page
from avsf_det.visual.timeline import MAX_PERSONS, draw_timeline
from avsf_det.visual.waveform import Envelope

NAMES = [f"action {n}" for n in range(12)]


def keyframe(ids, scores):
    return Persons(np.tile((0.1, 0.1, 0.4, 0.9), (len(ids), 1)), np.ones(len(ids)), ids, scores)


def row(best, score=0.9):
    scores = np.zeros(len(NAMES))
    scores[best] = score
    return scores


def drawn(path, times, persons, duration=10.0, **more):
    draw_timeline(path, times, persons, NAMES, duration, title="film.mp4", **more)
    with Image.open(path) as page:
        return np.asarray(page.convert("RGB"))


def texts(monkeypatch):
    """What is written on the pages drawn from here on."""
    said, write = [], timeline.ImageDraw.ImageDraw.text

    def spy(self, place, words, *args, **kwargs):
        said.append(words)
        return write(self, place, words, *args, **kwargs)

    monkeypatch.setattr(timeline.ImageDraw.ImageDraw, "text", spy)
    return said


def test_nobody_is_said(tmp_path, monkeypatch):
    said = texts(monkeypatch)
    drawn(tmp_path / "none.png", [1.0, 2.0], [Persons.none()] * 2)
    assert "nobody was found" in said
    assert "film.mp4" in said
    assert "no sound" in said


def test_no_keyframe_at_all(tmp_path):
    assert drawn(tmp_path / "empty.png", [], []).any()


def test_rows_are_the_actions_that_reach_the_threshold(tmp_path, monkeypatch):
    said = texts(monkeypatch)
    persons = [keyframe([1], [row(3) + row(4, 0.2)]), keyframe([1], [row(5, 0.31)])]
    drawn(tmp_path / "page.png", [1.0, 2.0], persons)
    assert [words for words in said if words.startswith("action")] == ["action 3", "action 5"]


def test_each_action_may_have_a_threshold_of_its_own(tmp_path, monkeypatch):
    said = texts(monkeypatch)
    thresholds = np.full(len(NAMES), 0.95)
    thresholds[3] = 0.5
    drawn(tmp_path / "t.png", [1.0, 2.0], [keyframe([0], [row(3)]), keyframe([0], [row(5)])], threshold=thresholds)
    assert "action 3" in said and "action 5" not in said


def test_what_is_left_out_is_counted(tmp_path, monkeypatch):
    said = texts(monkeypatch)
    many = list(range(MAX_PERSONS + 4))
    page = drawn(tmp_path / "page.png", [1.0], [keyframe(many, np.full((len(many), len(NAMES)), 0.9))])
    assert "4 more persons seen for a shorter time not shown" in said
    assert said.count("and 10 more actions") == MAX_PERSONS
    assert len(page) < 3000


def test_those_seen_longest_are_kept(tmp_path, monkeypatch):
    said = texts(monkeypatch)
    many = list(range(100, 100 + MAX_PERSONS))
    persons = [keyframe([7, *many], np.zeros((1 + len(many), 0))), keyframe(many, np.zeros((len(many), 0)))]
    drawn(tmp_path / "page.png", [1.0, 2.0], persons)
    assert "7" not in said
    assert {str(person_id) for person_id in many} <= set(said)


def test_the_strip_is_dark_when_the_action_takes_place(tmp_path):
    times = [0.5 + n for n in range(10)]
    persons = [keyframe([1], [row(3, 0.95 if n >= 5 else 0.0)]) for n in range(10)]
    page = drawn(tmp_path / "page.png", times, persons).astype(int)
    strip = page[timeline_page.HEADER + timeline._PRESENCE + 5, timeline_page.AXIS_LEFT : timeline_page.AXIS_RIGHT].sum(
        axis=1
    )
    half = len(strip) // 2
    assert strip[half + 5 : -5].max() < strip[5 : half - 5].min()


def test_the_sound_stands_on_the_same_axis(tmp_path):
    sound = Envelope(16000)
    samples = np.zeros(160000)
    samples[80000:] = np.random.default_rng(0).uniform(-1, 1, 80000)
    sound.add(samples)
    page = drawn(tmp_path / "page.png", [1.0], [Persons.none()], envelope=sound)
    top = timeline_page.HEADER + timeline._THUMBNAIL
    wave = (
        page[top : top + timeline_page.SOUND, timeline_page.AXIS_LEFT : timeline_page.AXIS_RIGHT] == timeline_page.WAVE
    ).all(axis=2)
    tall, half = wave.sum(axis=0), wave.shape[1] // 2
    assert tall[: half - 5].max() <= 2
    assert tall[half + 5 :].min() > 20


@pytest.mark.parametrize("duration", [0.04, 2.0, 61.0, 3600.0])
def test_round_times_below_at_any_length(tmp_path, monkeypatch, duration):
    said = texts(monkeypatch)
    drawn(tmp_path / "page.png", [duration / 2], [keyframe([1], [row(0)])], duration)
    assert 1 <= len([words for words in said if ":" in words and "·" not in words]) <= 13


def test_thumbnails_are_shown(tmp_path):
    thumbnails = {1: np.full((128, 128, 3), (1, 200, 3), dtype=np.uint8)}
    page = drawn(tmp_path / "page.png", [1.0], [keyframe([1], [row(0)])], thumbnails=thumbnails)
    assert (page == (1, 200, 3)).all(axis=2).sum() > 1000


def test_persons_without_an_id_share_a_band(tmp_path, monkeypatch):
    said = texts(monkeypatch)
    drawn(tmp_path / "page.png", [1.0], [keyframe([-1, -1], [row(0), row(1)])])
    assert said.count("no id") == 1
    assert {"action 0", "action 1"} <= set(said)


def test_same_input_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        drawn(tmp_path / name, [1.0, 2.0], [keyframe([1, 2], [row(0), row(1)])] * 2)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    folder = "file"
    (tmp_path / folder).touch()
    with pytest.raises(UserError, match=r"page\.png: the timeline cannot be written \(File exists\)") as error:
        drawn(tmp_path / folder / "page.png", [], [])
    assert "\n" not in str(error.value)


def test_an_interrupted_write_leaves_what_was_there(tmp_path, monkeypatch):
    target = tmp_path / "page.png"
    target.write_bytes(b"old")

    def interrupted(self, path, **_):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(timeline.Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_timeline(target, [], [], NAMES, 1.0)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("page.png", b"old")]


def test_what_sound_added_or_took_is_marked(tmp_path, monkeypatch):
    def marked(silent, name):
        person = keyframe([1], [row(0)]).replace(silent=None if silent is None else [row(0, silent)])
        page = drawn(tmp_path / f"{name}.png", [1.0], [person])[timeline_page.HEADER :]
        return [(page == colour).all(axis=2).sum() for colour in (palette.ADDED, palette.TOOK)]

    said = texts(monkeypatch)
    assert marked(None, "unknown") == [0, 0] and "sound added" not in said
    added, took = marked(0.4, "added"), marked(1.0, "took")
    assert added[0] > 4 * took[1] > 0 == added[1] == took[0]
    assert marked(0.89, "little") == [0, 0] and {"sound added", "sound took"} <= set(said)
