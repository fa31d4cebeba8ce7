import csv
import json
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from avsf_det.cli import main
from avsf_det.engine.detect import DetectOptions, detect_videos
from avsf_det.engine.live import Waiting, detect_stream
from avsf_det.engine.persons import open_detector
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.stop import StopSignals
from avsf_det.errors import UserError
from avsf_det.media.video import probe
from avsf_det.structures import Persons

OPTIONS = DetectOptions(rate=2.0, threshold=0.2)
NAME = "127.0.0.1_test_0000"


@pytest.fixture(scope="module")
def predictor(weights):
    return Predictor.load(weights)


@pytest.fixture(scope="module")
def boxes(scenes, tmp_path_factory):
    """The persons of the test scene under the name of its stream, for any time."""
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    rows = (scenes / "annotations" / "test_person_boxes.csv").read_text()
    path.write_text(rows.replace("test_0000,", f"{NAME},") + rows)
    return open_detector(str(path))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_stream_gives_all_outputs_and_the_scores_of_the_file(live_file, serve, predictor, boxes, tmp_path):
    result = detect_stream(serve(live_file, seconds=1), tmp_path, predictor, boxes, OPTIONS, latency=60)
    assert result.keyframes == 8 and result.dropped == 0 and not result.failed and result.persons >= 2
    suffixes = ("csv", "html", "jsonl", "mkv", "mp4", "png")  # the recording is what the page plays
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == [f"{NAME}.{suffix}" for suffix in suffixes]
    assert probe(result.files["mp4"]).duration == pytest.approx(probe(live_file).duration, abs=0.1)
    whole, _ = detect_videos([live_file], tmp_path / "file", predictor, boxes, OPTIONS)
    with open(result.files["csv"], newline="") as one, open(whole[live_file].files["csv"], newline="") as other:
        live, file = list(csv.reader(one)), list(csv.reader(other))
    assert [row[1:7] for row in live] == [row[1:7] for row in file]
    np.testing.assert_allclose([float(r[7]) for r in live], [float(r[7]) for r in file], atol=0.02)
    ids, of_file = (
        {line["time"]: [one["id"] for one in line["persons"]] for line in lines(files["jsonl"])}
        for files in (result.files, whole[live_file].files)
    )
    both = ids.keys() & of_file.keys()  # the file's clock begins with its sound, a little before the first picture
    assert len(both) == 7 and {t: ids[t] for t in both} == {t: of_file[t] for t in both}


def test_what_sound_did_is_written_as_it_comes(live_file, serve, weights, boxes, tmp_path):
    explains, how = Predictor.load(weights, explain_audio=True), replace(OPTIONS, outputs=("csv",))
    detect_stream(serve(live_file, seconds=1), tmp_path, explains, boxes, how, latency=60)
    rows, explained = (
        list(csv.reader((tmp_path / f"{NAME}{end}.csv").read_text().splitlines())) for end in ("", "_audio")
    )
    assert rows and [row[:8] for row in explained] == rows
    assert all(float(row[8]) + float(row[9]) == pytest.approx(float(row[7])) for row in explained)
    assert any(float(row[9]) for row in explained)


class Slow:
    """Takes a while to find nobody."""

    identity = "slow"

    def __init__(self, seconds):
        self.seconds = seconds

    def detect(self, frames):
        time.sleep(self.seconds)
        return [Persons.none() for _ in frames]


def test_what_cannot_be_kept_up_with_is_left_out_and_counted(live_file, serve, predictor, tmp_path, monkeypatch):
    monkeypatch.setitem(predictor.cfg.TEST, "BATCH_SIZE", 1)
    how = replace(OPTIONS, outputs=("jsonl",))
    result = detect_stream(serve(live_file, seconds=1), tmp_path, predictor, Slow(0.4), how, latency=0.5)
    assert result.dropped > 0 and result.keyframes + result.dropped == 8
    assert f"{result.dropped} more left out to keep up" in result.summary()
    told = [line["time"] for line in lines(result.files["jsonl"])]
    assert told == sorted(told) and len(told) == result.keyframes and told[-1] == 3.5
    assert [path.name for path in tmp_path.glob("[!.]*")] == [f"{NAME}.jsonl"]


def test_nothing_of_a_file_that_grows_is_left_out(live_file, predictor, tmp_path, monkeypatch):
    monkeypatch.setitem(predictor.cfg.TEST, "BATCH_SIZE", 1)
    how = replace(OPTIONS, outputs=("csv", "jsonl"))
    result = detect_stream(str(live_file), tmp_path, predictor, Slow(0.1), how, latency=0.5, silence=0.3)
    assert result.dropped == 0 and result.keyframes == 8 and result.ended == "nothing new came for 0.3 s"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_all_outputs_whole(live_file, serve, predictor, boxes, tmp_path, signum):
    jsonl = tmp_path / f"{NAME}.jsonl"

    def ask():
        while not (jsonl.is_file() and jsonl.stat().st_size):
            time.sleep(0.01)
        os.kill(os.getpid(), signum)

    threading.Thread(target=ask, daemon=True).start()
    result = detect_stream(serve(live_file, seconds=6), tmp_path, predictor, boxes, OPTIONS)
    assert result.ended == "stopped" and 1 <= result.keyframes < 8 and not result.failed
    assert len(lines(jsonl)) == result.keyframes
    assert probe(result.files["mp4"]).duration < 4 and result.files["page"].is_file()


def test_a_second_ctrl_c_leaves_the_rows_and_the_recording(live_file, serve, predictor, boxes, tmp_path, monkeypatch):
    def impatient(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("avsf_det.engine.live.write_results", impatient)
    result = detect_stream(serve(live_file, seconds=0.5), tmp_path, predictor, boxes, OPTIONS, latency=60)
    assert "mp4, timeline, page left out" in result.failed and set(result.files) == {"csv", "jsonl"}
    assert len(lines(result.files["jsonl"])) == 8 and probe(tmp_path / f"{NAME}.mkv")


def test_an_earlier_stream_of_the_name_is_kept(live_file, serve, predictor, boxes, tmp_path):
    how = replace(OPTIONS, outputs=("csv",), rate=0.5)
    for name in (NAME, f"{NAME}_2", f"{NAME}_3"):
        result = detect_stream(serve(live_file, seconds=0.1), tmp_path, predictor, boxes, how)
        assert result.files["csv"].name == f"{name}.csv"


def test_what_a_stream_cannot_have_is_refused(predictor, boxes, tmp_path):
    with pytest.raises(UserError, match="--smooth averages with what comes later"):
        detect_stream("http://127.0.0.1:9/", tmp_path, predictor, boxes, replace(OPTIONS, smooth=1.0))
    with pytest.raises(UserError, match="Connection refused"):
        detect_stream("http://127.0.0.1:9/", tmp_path, predictor, boxes, OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_reading_is_told(predictor, boxes, live_file, tmp_path, monkeypatch):
    def broken(*_):
        raise UserError("camera on fire")

    monkeypatch.setattr("avsf_det.data.live_clips.LiveClips._add", broken)
    with pytest.raises(UserError, match="camera on fire"):
        detect_stream(str(live_file), tmp_path, predictor, boxes, OPTIONS, silence=0.3)


def test_the_oldest_clips_make_room_or_the_reader_waits():
    stop, waiting = StopSignals(), Waiting(2)
    for clip in "abcd":
        waiting.put(clip)
    assert waiting.take(8, stop) == ["c", "d"] and waiting.dropped == 2
    patient = Waiting(1, lossless=True)
    thread = threading.Thread(target=lambda: [patient.put(clip) for clip in "abc"] and patient.close())
    thread.start()
    taken = []
    while some := patient.take(8, stop):
        taken += some
    thread.join()
    assert taken == ["a", "b", "c"] and patient.dropped == 0


def test_the_command_takes_one_stream_alone(live_file, serve, weights, scenes, tmp_path, capsys):
    detector = str(scenes / "annotations" / "test_person_boxes.csv")
    how = ["--weights", str(weights), "--detector", detector, "--output", str(tmp_path), "--outputs", "csv,jsonl"]
    assert main(["detect", "rtsp://camera/1", "film.mp4", *how]) == 2
    assert "error: rtsp://camera/1 is a stream, which goes on; give it alone" in capsys.readouterr().err
    assert main(["detect", serve(live_file, seconds=0.3), *how]) == 0
    assert f"-> {tmp_path / NAME}.csv" in capsys.readouterr().out
    assert main(["detect", str(live_file), "--follow", "--silence", "0.3", *how]) == 0
    assert "nothing new came for 0.3 s; " in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= {"test_0000.csv", "test_0000.jsonl", f"{NAME}.jsonl"}
