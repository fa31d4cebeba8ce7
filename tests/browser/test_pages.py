"""The pages that are written to disk, opened from there."""

import pytest

import ava_eval.cli
import avsf_det.cli
from avsf_det.structures import Persons
from avsf_det.visual.page import player_page
from avsf_det.visual.palette import ADDED, TOOK


@pytest.fixture(scope="module")
def results(weights, scenes, video, tmp_path_factory):
    """The folder of what `avsf-det detect` wrote."""
    output = tmp_path_factory.mktemp("results")
    boxes = scenes / "annotations" / "test_person_boxes.csv"
    options = ["--weights", weights, "--detector", boxes, "--output", output, "--device", "cpu"]
    assert avsf_det.cli.main([*map(str, ["detect", video, *options, "--threshold", 0.05])]) == 0
    return output


@pytest.fixture
def player(page, results, until):
    page.goto((results / "test_0000.html").as_uri())
    until(page, "document.getElementById('video').readyState >= 2")
    page.evaluate("document.getElementById('video').currentTime = 2")
    until(page, "!document.getElementById('video').seeking")
    return page


def seconds(page):
    return page.evaluate("document.getElementById('video').currentTime")


def coloured(page):
    """How many pixels are drawn over the video."""
    page.wait_for_timeout(100)
    return page.evaluate(
        """() => { const canvas = document.getElementById('overlay'), pen = canvas.getContext('2d');
        return pen.getImageData(0, 0, canvas.width, canvas.height).data.filter((v, i) => i % 4 == 3 && v).length }"""
    )


def test_the_annotated_video_is_one_that_browsers_play_with_its_sound(page, results, until):
    page.goto((results / "test_0000.mp4").as_uri())
    until(page, "document.querySelector('video').readyState >= 2")
    page.evaluate("() => { const v = document.querySelector('video'); v.muted = true; return v.play() }")
    until(page, "document.querySelector('video').currentTime > 0.3")
    assert page.evaluate("document.querySelector('video').webkitAudioDecodedByteCount") > 0


def test_boxes_are_switched_off_by_person_and_actions_by_class(player):
    everything = coloured(player)
    player.click("#classes-none")
    boxes = coloured(player)
    player.click("#persons-none")
    assert coloured(player) == 0 < boxes < everything
    player.click("#persons-all")
    player.click("#classes-all")
    assert coloured(player) == everything


def test_a_higher_score_is_asked_for_with_the_slider(player):
    everything = coloured(player)
    player.locator("#threshold").fill("1")
    assert 0 < coloured(player) < everything


def test_a_click_on_the_timeline_and_arrow_keys_go_to_a_moment(player):
    box = player.locator("#lanes").bounding_box()
    player.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    middle = seconds(player)
    assert 0.5 < middle < 3.5
    player.keyboard.press("ArrowRight")
    assert seconds(player) > middle


def test_what_sound_did_is_switched_off_and_on(page, results, tmp_path):
    person = Persons([(0.2, 0.3, 0.5, 0.9)], [1.0], [0], [[0.9, 0.6]], [[0.2, 0.9]])
    video = (results / "test_0000.mp4").as_uri()
    text = player_page([(video, False)], "film", [0.0, 1.0], [person] * 2, ["talk", "eat"], None, 4.0)
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    page.goto((tmp_path / "page.html").as_uri())
    assert page.get_by_label("what sound").is_checked()
    marked = [pixels_of(page, colour) for colour in (ADDED, TOOK)]
    page.get_by_label("what sound").uncheck()
    assert [pixels_of(page, colour) for colour in (ADDED, TOOK)] == [0, 0] and min(marked) > 100


def pixels_of(page, colour):
    """How many pixels of the timeline have a colour."""
    page.wait_for_timeout(100)
    return page.evaluate(
        """([r, g, b]) => { const canvas = document.getElementById('lanes'), pen = canvas.getContext('2d');
        const all = pen.getImageData(0, 0, canvas.width, canvas.height).data; let count = 0;
        for (let i = 0; i < all.length; i += 4) count += all[i] == r && all[i + 1] == g && all[i + 2] == b;
        return count }""",
        list(colour),
    )


def test_the_page_works_where_the_original_is_gone(browser, results, tmp_path, until):
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("test_0000.html", "test_0000.mp4"):
        (moved / name).write_bytes((results / name).read_bytes())
    page = browser.new_page()
    page.goto((moved / "test_0000.html").as_uri())
    until(page, "document.getElementById('video').videoHeight > 96")  # the annotated one, with its waveform
    page.close()


@pytest.mark.parametrize("name", ["check", "evaluation"])
def test_reports_open_without_an_error(page, scenes, tmp_path, name):
    report = tmp_path / "report.html"
    if name == "check":
        avsf_det.cli.main(["data", "check", str(scenes), "--html", str(report)])
    else:
        folder = scenes / "annotations"
        rows = (folder / "val.csv").read_text().splitlines()
        (tmp_path / "det.csv").write_text(
            "".join(f"{row.rpartition(',')[0]},0.{i % 9}\n" for i, row in enumerate(rows))
        )
        arguments = ["-l", folder / "label_map.pbtxt", "-g", folder / "val.csv", "-d", tmp_path / "det.csv"]
        assert ava_eval.cli.main([*map(str, arguments), "--html", str(report)]) == 0
    page.goto(report.as_uri())
    assert page.locator("h1").first.is_visible() and page.locator("table").count()
