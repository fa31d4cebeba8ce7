"""`avsf-det serve` as its user meets it: a real server, a real upload, a real player."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest
from PIL import Image

WAIT = 120_000  # milliseconds


@pytest.fixture(scope="module")
def served(weights, scenes, tmp_path_factory):
    """The address of the page, and the folder of all uploads."""
    folder = tmp_path_factory.mktemp("served")
    options = {
        "weights": weights,
        "detector": scenes / "annotations" / "test_person_boxes.csv",
        "output": folder,
        "port": 0,
        "device": "cpu",
        "max-size": "60MB",
    }
    command = [
        sys.executable,
        "-m",
        "avsf_det",
        "serve",
        *(str(w) for key, v in options.items() for w in (f"--{key}", v)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().split()[0], folder
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in (0, -signal.SIGTERM)


@pytest.fixture
def opened(page, served):
    page.goto(served[0])
    page.get_by_text("Drop File Here").wait_for(timeout=WAIT)
    return page


def upload(page, path):
    page.set_input_files("input[type=file]", path)


@pytest.fixture(scope="module")
def long_video(video, tmp_path_factory):
    """The same scene two hundred times over, which takes a while to look through."""
    path = tmp_path_factory.mktemp("long") / video.name
    with av.open(str(path), "w") as output:
        with av.open(str(video)) as source:
            [track] = source.streams.video
            copy = output.add_stream_from_template(track)
            packets = [packet for packet in source.demux(track) if packet.dts is not None]
            length = sum(packet.duration for packet in packets)
        for i in range(200):
            with av.open(str(video)) as source:
                for packet in source.demux(video=0):
                    if packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + i * length, packet.dts + i * length, copy
                        output.mux(packet)
    return path


def test_a_video_is_dropped_watched_and_looked_at(opened, served, video, tmp_path):
    upload(opened, video)
    opened.locator(".progress-text, .progress-level").first.wait_for(timeout=WAIT)
    opened.locator("#player iframe").wait_for(timeout=WAIT)
    player = opened.frame_locator("#player iframe")
    assert "test_0000.mp4: " in opened.locator("body").inner_text()
    element = player.locator("video")
    element.evaluate("video => { video.muted = true; return video.play() }")  # H.264: else this is an error
    opened.wait_for_timeout(700)
    state = element.evaluate("v => [v.videoWidth, v.currentTime, v.webkitAudioDecodedByteCount]")
    assert state[0] == 128 and state[1] > 0.2 and state[2] > 0
    tall = opened.locator("#player iframe").bounding_box()["height"]
    inside = player.locator("html").evaluate("html => html.scrollHeight")
    assert tall >= inside  # one scroll bar is enough
    picture = Path(os.environ.get("SCREENSHOTS", tmp_path)) / "serve.png"
    opened.screenshot(path=picture, full_page=True)
    assert len(set(Image.open(picture).convert("RGB").resize((64, 64)).getdata())) > 200  # there is something to see


def test_every_result_can_be_downloaded(opened, served, video):
    upload(opened, video)
    links = opened.locator("#player a[download]")
    links.first.wait_for(timeout=WAIT)
    names = []
    for i in range(links.count()):
        with opened.expect_download() as download:
            links.nth(i).click()
        names.append(download.value.suggested_filename)
        [written] = served[1].glob(f"*/{names[-1]}")
        assert Path(download.value.path()).read_bytes() == written.read_bytes()
    assert sorted(names) == [f"test_0000.{suffix}" for suffix in ("csv", "html", "jsonl", "mp4", "png")]


def test_what_is_no_video_is_said_and_the_next_one_is_done(opened, video, tmp_path):
    (tmp_path / "notes.mp4").write_text("no video")
    upload(opened, tmp_path / "notes.mp4")
    opened.get_by_text("Not done: notes.mp4").wait_for(timeout=WAIT)
    opened.get_by_text("Drop File Here").wait_for(timeout=WAIT)
    upload(opened, video)
    opened.locator("#player iframe").wait_for(timeout=WAIT)


def test_upload_above_max_size_is_reported_and_the_next_one_is_done(opened, video, tmp_path):
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(61 << 20)
    upload(opened, large)
    opened.get_by_text("maximum").first.wait_for(timeout=WAIT)
    upload(opened, video)
    opened.locator("#player iframe").wait_for(timeout=WAIT)


def test_upload_name_with_markup_runs_nothing(opened, video, tmp_path):
    name = "<img src=x onerror=document.title='hacked'>.mp4"
    upload(opened, shutil.copy(video, tmp_path / name))
    opened.locator("#player iframe").wait_for(timeout=WAIT)
    opened.get_by_label("Look again at").click(timeout=WAIT)
    opened.get_by_role("option", name=name).first.click()
    opened.frame_locator("#player iframe").locator("#timeline").wait_for(timeout=WAIT)
    assert name in opened.locator("body").inner_text()
    assert "hacked" not in opened.title() and not opened.locator("img[src=x]").count()


def test_results_of_earlier_are_there_to_look_at_again(opened, served, video):
    upload(opened, video)
    opened.locator("#player iframe").wait_for(timeout=WAIT)
    opened.goto(served[0])
    opened.get_by_label("Look again at").click(timeout=WAIT)
    opened.get_by_role("option", name="test_0000.mp4").first.click()
    opened.frame_locator("#player iframe").locator("#timeline").wait_for(timeout=WAIT)


def test_stop_ends_it(opened, long_video):
    upload(opened, long_video)
    opened.locator("button:enabled", has_text="Stop").click(timeout=WAIT)
    opened.get_by_text("Stopped: upload the same file again").wait_for(timeout=WAIT)
