import csv
import json
import os
import shutil
import struct
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from avsf_det.engine.detect import DetectOptions, detect_videos, find_videos, keyframe_times
from avsf_det.engine.persons import open_detector
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError, printable
from avsf_det.media.audio import AudioReader
from avsf_det.media.source import VideoSource, probe_source
from avsf_det.media.video import VideoInfo, VideoReader, probe
from avsf_det.media.writer import VideoWriter
from tests.engine.training import Killed

OPTIONS = DetectOptions(rate=1.0)
INFO = VideoInfo("v", 4.0, 0.0, Fraction(25), 64, 48, 0, "h264", False, 0.0, 0.0, 0, 0)


def shown(folder):
    """The names of the files that a user sees."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture(scope="module")
def predictor(weights):
    return Predictor.load(weights)


@pytest.fixture(scope="module")
def boxes(scenes):
    return open_detector(str(scenes / "annotations" / "test_person_boxes.csv"))


@pytest.fixture(scope="module")
def detected(video, predictor, boxes, tmp_path_factory):
    """The output folder and result of one scene."""
    output = tmp_path_factory.mktemp("detect")
    results, failed = detect_videos([video], output, predictor, boxes, OPTIONS)
    assert not failed
    return output, results[video]


def test_what_is_asked_for_and_nothing_else_comes_out(detected):
    output, result = detected
    assert shown(output) == [f"test_0000.{suffix}" for suffix in ("csv", "html", "jsonl", "mp4", "png")]
    assert result.keyframes == 4 and result.busy_keyframes >= 2 and result.persons >= 2
    assert f"{result.persons} persons" in result.summary()
    with Image.open(result.files["timeline"]) as page:
        assert page.width > 500


def test_the_video_is_as_long_as_the_input_and_has_boxes_and_a_lane_with_sound_added(detected, video):
    _, result = detected
    before, after = probe(video), probe(result.files["mp4"])
    assert after.duration == pytest.approx(before.duration, abs=float(1 / before.fps))
    assert after.width == before.width and after.height >= before.height + 36 and after.has_audio == before.has_audio
    with VideoReader(video) as one, VideoReader(result.files["mp4"]) as other:
        times = np.arange(1, 4, 0.5)
        difference = np.abs(other.frames_at(times)[:, : before.height].astype(int) - one.frames_at(times))
        assert len(list(one.frames())) == len(list(other.frames()))
    assert (difference.max(axis=3) > 60).mean() > 0.01


def test_the_sound_is_still_in_sync(detected, video):
    _, result = detected
    one, other = (AudioReader(path).read(0, 4) for path in (video, result.files["mp4"]))
    correlation = np.fft.irfft(np.fft.rfft(one, 2 * len(one)).conj() * np.fft.rfft(other, 2 * len(one)))
    lag = int(correlation.argmax())
    assert min(lag, len(correlation) - lag) <= 16  # of 16000 a second
    assert correlation.max() > 0.9 * np.square(one).sum()


def test_the_csv_has_avas_rows_for_every_person_and_action(detected, predictor):
    _, result = detected
    with open(result.files["csv"], newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {8} and {row[0] for row in rows} == {"test_0000"}
    assert {row[1] for row in rows} <= {"0000", "0001", "0002", "0003"}
    assert {int(row[6]) for row in rows} == set(predictor.label_map.ids)
    assert all(0 <= float(row[7]) <= 1 for row in rows)
    assert len(rows) == len({tuple(row[:6]) for row in rows}) * len(predictor.label_map)


def test_the_same_input_gives_the_same_output(detected, video, predictor, boxes, tmp_path):
    _, result = detected
    again = detect_videos([video], tmp_path, predictor, boxes, OPTIONS)[0][video]
    assert again.files["csv"].read_bytes() == result.files["csv"].read_bytes()
    assert again.files["timeline"].read_bytes() == result.files["timeline"].read_bytes()


def test_nobody_found_is_said_and_everything_is_written_all_the_same(predictor, boxes, tmp_path, caplog):
    with VideoWriter(tmp_path / "empty.mp4", 64, 48, 10) as writer:
        for n in range(15):
            writer.write(np.full((48, 64, 3), 90, np.uint8), n / 10)
    results, failed = detect_videos([tmp_path / "empty.mp4"], tmp_path / "out", predictor, boxes, OPTIONS)
    (result,) = results.values()
    assert not failed and result.summary().startswith("no person found in 2 keyframes")
    assert result.files["csv"].read_text() == "" and result.files["timeline"].is_file()
    assert probe(result.files["mp4"]).duration == pytest.approx(1.5, abs=0.1)
    assert "no boxes for video 'empty'" in caplog.text


def test_boxes_whose_times_are_frame_numbers_are_named(video, predictor, tmp_path, caplog):
    (tmp_path / "boxes.csv").write_text(f"{video.stem},300,0.1,0.1,0.5,0.9,,1.0\n")
    detector = open_detector(str(tmp_path / "boxes.csv"))
    detect_videos([video], tmp_path / "out", predictor, detector, replace(OPTIONS, outputs=("csv",)))
    assert "they go up to 300; are they frame numbers?" in caplog.text


def test_inputs_of_one_name_and_inputs_in_the_output_folder_are_all_kept(video, predictor, boxes, tmp_path):
    paths = [tmp_path / "x" / "a.mp4", tmp_path / "y" / "a.mp4", tmp_path / "a.mp4"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(video.read_bytes())
    results, failed = detect_videos(paths, tmp_path, predictor, boxes, OPTIONS)
    assert not failed and len({result.files["mp4"] for result in results.values()}) == 3
    assert all(path.read_bytes() == video.read_bytes() for path in paths)
    assert all(result.files["mp4"].with_suffix(".csv").is_file() for result in results.values())


def test_an_interruption_leaves_no_part_of_a_file(video, predictor, boxes, tmp_path, monkeypatch):
    write, frames = VideoWriter.write, []

    def interrupted(self, image, time):
        frames.append(time)
        if len(frames) > 20:
            raise KeyboardInterrupt
        write(self, image, time)

    monkeypatch.setattr(VideoWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        detect_videos([video], tmp_path, predictor, boxes, OPTIONS)
    assert shown(tmp_path) == []


@pytest.fixture
def names(video, tmp_path):
    """A function that makes copies of a scene, under names in a folder, and gives boxes for all."""

    def make(*names):
        folder, rows = tmp_path / "in", []
        folder.mkdir(exist_ok=True)
        for name in names:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            shutil.copy(video, path)
            rows += [f"{printable(path.stem)},{t},0.1,0.1,0.5,0.9,,1.0\n" for t in range(4)]
        (tmp_path / "boxes.csv").write_text("".join(rows))
        return [folder / name for name in names]

    return make


CSV = replace(OPTIONS, outputs=("csv",))


ODD_NAMES = ("..mp4", "...mp4", ".mp4", " .mp4", "a\nb.mp4", "x" * 251 + ".mp4", "take\udcff.mp4")


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_detect_odd_names_write_nothing_outside_of_their_results(names, predictor, boxes, tmp_path, name):
    out = tmp_path / "parent" / "out"
    out.mkdir(parents=True)
    for keep in (out / "keep.txt", out.parent / "keep.txt", tmp_path / "keep.txt"):
        keep.write_text("mine")
    _, failed = detect_videos(names(name), out, predictor, boxes, OPTIONS)
    assert not failed and len(shown(out)) == 6  # five results and keep.txt
    assert shown(out.parent) == ["keep.txt", "out"] and (tmp_path / "keep.txt").is_file()
    again, _ = detect_videos(names(name), out, predictor, boxes, OPTIONS)
    assert all(result.reused for result in again.values())


def test_detect_files_of_the_user_are_not_replaced_unless_asked(names, predictor, boxes, tmp_path, caplog):
    (film,) = names("film.mp4")
    before = film.read_bytes()
    for name in ("film.csv", "film.png"):
        film.with_name(name).write_text("mine")
    for _ in range(2):
        results, failed = detect_videos([film], film.parent, predictor, boxes, OPTIONS)
        assert not failed and results[film].files["mp4"].name == "film_2.mp4"
    assert results[film].reused and film.read_bytes() == before
    assert {film.with_name(name).read_text() for name in ("film.csv", "film.png")} == {"mine"}
    assert "film.mp4 is an input" in caplog.text
    results, _ = detect_videos([film], film.parent, predictor, boxes, replace(CSV, overwrite=True))
    assert results[film].files["csv"].name == "film.csv" and film.with_name("film.csv").read_text() != "mine"


def test_detect_overwrite_never_replaces_an_input(names, predictor, boxes):
    inputs = names("a.mov", "a.mp4", "b.mp4")
    before = [path.read_bytes() for path in inputs]
    options = replace(OPTIONS, outputs=("mp4",), overwrite=True)
    results, failed = detect_videos(inputs, inputs[0].parent, predictor, boxes, options)
    assert not failed and [path.read_bytes() for path in inputs] == before
    assert len({result.files["mp4"] for result in results.values()} | set(inputs)) == 6


def test_detect_weights_that_give_nan_are_an_error(video, predictor, boxes, tmp_path, monkeypatch):
    score = predictor.score_keyframes

    def broken(*arguments):
        return [found.replace(actions=found.actions * np.nan) for found in score(*arguments)]

    monkeypatch.setattr(predictor, "score_keyframes", broken)
    _, failed = detect_videos([video], tmp_path, predictor, boxes, CSV)
    assert "scores are NaN or inf" in failed[video] and shown(tmp_path) == []


def test_detect_one_name_in_two_runs_keeps_both_results(names, predictor, boxes, tmp_path, video):
    one, other = names("x/a.mp4", "y/a.mp4")
    shutil.copy(video.with_name("val_0000.mp4"), other)
    first = detect_videos([one], tmp_path / "out", predictor, boxes, CSV)[0][one]
    second = detect_videos([other], tmp_path / "out", predictor, boxes, CSV)[0][other]
    assert (first.files["csv"].name, second.files["csv"].name) == ("a.csv", "a_2.csv")
    assert detect_videos([one], tmp_path / "out", predictor, boxes, CSV)[0][one].reused


def test_detect_folder_skips_its_own_results(names, predictor, boxes, caplog):
    (film,) = names("film.mov")
    for _ in range(2):
        results, failed = detect_videos(find_videos([film.parent]), film.parent, predictor, boxes, OPTIONS)
        assert not failed and list(results) == [film]
    assert "skipped 1 results of earlier runs: film.mp4" in caplog.text


@pytest.mark.parametrize(
    "error", [MemoryError("array of 3 PB"), ValueError("odd"), RecursionError(), UnicodeError("x")]
)
def test_detect_any_error_of_one_video_is_named_and_the_others_are_done(
    names, predictor, boxes, tmp_path, monkeypatch, error
):
    bad, good = names("bad.mp4", "good.mp4")

    def probed(path):
        if path == bad:
            raise error
        return probe_source(path)

    monkeypatch.setattr("avsf_det.engine.detect.probe_source", probed)
    results, failed = detect_videos([bad, good], tmp_path / "out", predictor, boxes, CSV)
    assert list(results) == [good] and list(failed) == [bad]
    assert type(error).__name__ in failed[bad] and str(bad) in failed[bad] and "\n" not in failed[bad]


def test_detect_full_disk_ends_the_run(names, predictor, boxes, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"No space left on device.*rerun the same command to resume"):
        detect_videos(names("a.mp4", "b.mp4"), tmp_path / "out", predictor, boxes, CSV)


def test_detect_frames_extracted_again_are_detected_again(predictor, boxes, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()

    def extract(color):
        for number in range(1, 9):
            path = frames / f"{number:06d}.bmp"
            Image.new("RGB", (64, 48), (color, 0, 0)).save(path)
            os.utime(path, (1, 1))

    source = VideoSource(frames, fps=4.0)
    for color, reused in ((10, False), (10, True), (200, False)):
        extract(color)
        results, failed = detect_videos([source], tmp_path / "out", predictor, boxes, CSV)
        assert not failed and results[source].reused == reused
    assert detect_videos([source], tmp_path / "out", predictor, boxes, CSV)[0][source].reused


def test_find_videos_folder_gives_videos_and_names_the_rest(tmp_path, caplog):
    for name in ("b.MP4", "a.mkv", "cam.MTS", "x.m2ts", "phone.3gp", "notes.txt", "c.csv", "._b.MP4", ".hidden.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "none").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "folder.mp4").mkdir()
    found = find_videos([tmp_path, tmp_path / "notes.txt", tmp_path / "a.mkv", "missing.mp4"])
    names = ["a.mkv", "b.MP4", "cam.MTS", "phone.3gp", "x.m2ts", "notes.txt", "missing.mp4"]
    assert [path.name for path in found] == names
    assert "ignored 2 files without a video's suffix: c.csv, notes.txt" in caplog.text
    with pytest.raises(UserError, match="no video in this folder; known suffixes"):
        find_videos([tmp_path / "none"])


def test_an_imported_folder_of_frames_with_its_sound_gives_what_the_file_does(
    detected, video, predictor, boxes, tmp_path
):
    frames, rate = tmp_path / "data" / "frames" / video.stem, float(probe(video).fps)
    frames.mkdir(parents=True)
    with VideoReader(video) as reader:
        for number, (_, image) in enumerate(reader.frames(), 1):
            Image.fromarray(image).save(frames / f"{number:04d}.png")
    (tmp_path / "data" / "sounds").mkdir()
    (tmp_path / "data" / "sounds" / video.name).symlink_to(video)
    table = f"video,file,fps,duration,sound,source\n{video.stem},frames/{video.stem},{rate},4,1,x\n"
    (tmp_path / "data" / "videos.csv").write_text(table)
    (source,) = find_videos([tmp_path / "data"])
    assert find_videos([frames]) == find_videos([frames.parent]) == [source]
    results, failed = detect_videos([source], tmp_path / "out", predictor, boxes, OPTIONS)
    assert not failed and shown(tmp_path / "out") == shown(detected[0])
    own, files = (list(csv.reader(result.files["csv"].open())) for result in (results[source], detected[1]))
    assert [row[:7] for row in own] == [row[:7] for row in files]
    scores = np.array([[float(row[7]) for row in rows] for rows in (own, files)])
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)  # pictures are scaled from RGB
    info = probe(results[source].files["mp4"])
    assert info.has_audio and info.duration == pytest.approx(probe(video).duration, abs=0.05)
    assert json.dumps(f"{video.stem}.mp4") in results[source].files["page"].read_text()
    page = replace(OPTIONS, outputs=("page",))
    assert "add mp4 to --outputs" in detect_videos([source], tmp_path / "page", predictor, boxes, page)[1][source]


@given(st.floats(0.01, 50), st.floats(0, 1), st.sampled_from([0.5, 1.0, 2.0, 3.0, 7.7, 30.0]))
def test_keyframes_are_where_the_picture_is(duration, share, rate):
    start = share * duration * 0.99
    times = keyframe_times(replace(INFO, duration=duration, picture_start=start), rate)
    assert times and all(start <= t < duration for t in times)
    np.testing.assert_allclose(np.diff(times), 1 / rate)
    if duration - start > 1 / rate:
        assert times[0] - start < 1 / rate + 1e-9 and duration - times[-1] <= 1 / rate + 1e-9


def test_keyframes_of_a_plain_video():
    assert keyframe_times(INFO, 1.0) == [0.0, 1.0, 2.0, 3.0]
    assert keyframe_times(INFO, 0.1) == [0.0]


@pytest.fixture
def counted(predictor, monkeypatch):
    """A number for each keyframe scored, in chunks of one; scoring is killed at the number `counted.kill_at`."""

    class Counted(list):
        kill_at = None

    scored, score = Counted(), predictor.score_keyframes

    def score_keyframes(keyframes, on_progress):
        if len(scored) == scored.kill_at:
            raise Killed
        scored.append(len(scored))
        return score(keyframes, on_progress)

    monkeypatch.setattr(predictor, "score_keyframes", score_keyframes)
    monkeypatch.setattr("avsf_det.engine.detect.CHUNK", 1)
    return scored


def contents(folder):
    return {name: (folder / name).read_bytes() for name in shown(folder)}


def test_what_was_killed_goes_on_and_gives_the_same(video, predictor, boxes, tmp_path, counted):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    detect_videos([video], whole, predictor, boxes, OPTIONS)
    assert len(counted) == 4
    counted.clear()
    counted.kill_at = 2
    with pytest.raises(Killed):
        detect_videos([video], killed, predictor, boxes, OPTIONS)
    assert shown(killed) == [] and len(counted) == 2
    counted.kill_at = None
    detect_videos([video], killed, predictor, boxes, OPTIONS)
    assert len(counted) == 4
    assert contents(killed) == contents(whole)


def test_finished_videos_are_passed_over_until_something_changes(video, predictor, boxes, tmp_path, counted):
    path, out = tmp_path / "film.mp4", tmp_path / "out"
    path.write_bytes(video.read_bytes())
    rows = (f"film,{t},0.1,0.1,0.5,0.9,,1.0\n" for t in range(4))
    (tmp_path / "boxes.csv").write_text("".join(rows))

    def detect(**changes):
        detector = open_detector(str(tmp_path / "boxes.csv"))
        results, failed = detect_videos([path], out, predictor, detector, replace(OPTIONS, **changes))
        assert not failed
        return results[path]

    first, dates = detect(), {name: (out / name).stat().st_mtime_ns for name in shown(out)}
    again = detect()
    assert again.reused and replace(again, reused=False) == first and "(there already)" in again.summary()
    assert len(counted) == 4 and dates == {name: (out / name).stat().st_mtime_ns for name in shown(out)}
    assert not detect(threshold=0.9).reused and len(counted) == 4  # drawn anew, not scored anew
    (out / "film.csv").unlink()
    assert not detect(threshold=0.9).reused and (out / "film.csv").is_file() and len(counted) == 4
    with open(tmp_path / "boxes.csv", "a") as file:
        file.write("film,2,0.5,0.1,0.9,0.9,,1.0\n")
    assert detect().persons == 2 and len(counted) == 8
    path.write_bytes((video.parent / "val_0000.mp4").read_bytes())
    assert not detect().reused and len(counted) == 12


def test_only_what_is_asked_for_is_written(video, predictor, boxes, tmp_path):
    for outputs, suffixes in ((("jsonl",), ["jsonl"]), (("csv", "timeline"), ["csv", "png"]), (("page",), ["html"])):
        out = tmp_path / suffixes[0]
        results, _ = detect_videos([video], out, predictor, boxes, replace(OPTIONS, outputs=outputs))
        assert shown(out) == [f"test_0000.{suffix}" for suffix in suffixes]
        assert results[video].summary().endswith(f"-> {out / 'test_0000'}.{suffixes[0]}")


def test_json_lines_say_what_the_csv_says(detected, predictor):
    _, result = detected
    lines = [json.loads(line) for line in result.files["jsonl"].read_text().splitlines()]
    assert [line["time"] for line in lines] == [0.0, 1.0, 2.0, 3.0] and {line["video"] for line in lines} == {
        "test_0000"
    }
    told = [score for line in lines for one in line["persons"] for score in one["scores"].values()]
    boxes = [side for line in lines for one in line["persons"] for side in one["box"]]
    with open(result.files["csv"], newline="") as file:
        rows = list(csv.reader(file))
    np.testing.assert_allclose(told, [float(row[7]) for row in rows], atol=1e-6)
    np.testing.assert_allclose(boxes, [float(v) for r in rows[:: len(predictor.label_map)] for v in r[2:6]], atol=2e-6)
    assert list(lines[1]["persons"][0]["scores"]) == list(predictor.label_map.names)
    assert result.persons == len({one["id"] for line in lines for one in line["persons"]})


def test_smoothing_brings_neighbouring_scores_together(video, predictor, boxes, detected, tmp_path):
    def roughness(path):
        tracks = {}
        for line in map(json.loads, path.read_text().splitlines()):
            for one in line["persons"]:
                tracks.setdefault(one["id"], []).append(list(one["scores"].values()))
        return sum(np.abs(np.diff(track, axis=0)).sum() for track in tracks.values())

    how = replace(OPTIONS, smooth=1.0, outputs=("jsonl",))
    results, _ = detect_videos([video], tmp_path, predictor, boxes, how)
    before, after = roughness(detected[1].files["jsonl"]), roughness(results[video].files["jsonl"])
    assert after < 0.8 * before


def test_a_timeline_without_an_mp4_has_the_same_portraits(video, predictor, boxes, detected, tmp_path):
    results, _ = detect_videos([video], tmp_path, predictor, boxes, replace(OPTIONS, outputs=("timeline",)))
    assert results[video].files["timeline"].read_bytes() == detected[1].files["timeline"].read_bytes()


def test_what_sound_does_is_in_a_csv_of_its_own(detected, video, weights, boxes, tmp_path):
    explaining = Predictor.load(weights, explain_audio=True)
    detect_videos([video], tmp_path, explaining, boxes, OPTIONS)
    plain = (tmp_path / "test_0000.csv").read_text()
    assert plain == (detected[0] / "test_0000.csv").read_text()
    rows = [line.split(",") for line in (tmp_path / "test_0000_audio.csv").read_text().splitlines()]
    assert [",".join(row[:8]) for row in rows] == plain.splitlines()
    assert {len(row) for row in rows} == {10} and any(abs(float(row[9])) > 0 for row in rows)


def test_a_film_of_ten_hours_is_detected_on_to_its_end(predictor, tmp_path):
    hours, spacing = 10, 20
    with VideoWriter(tmp_path / "film.mp4", 64, 48, 1 / spacing) as writer:
        for number in range(hours * 3600 // spacing):
            writer.write(np.full((48, 64, 3), number % 200, np.uint8), number * spacing)
    (tmp_path / "boxes.csv").write_text("film,35995,0.1,0.1,0.5,0.9,,1.0\n")
    detector, options = open_detector(str(tmp_path / "boxes.csv")), replace(OPTIONS, rate=0.2, outputs=("csv",))
    results, failed = detect_videos([tmp_path / "film.mp4"], tmp_path / "out", predictor, detector, options)
    (result,) = results.values()
    assert not failed and result.keyframes == hours * 3600 * 0.2 and result.persons == 1
    assert {line.split(",")[1] for line in result.files["csv"].read_text().splitlines()} == {"35995"}


@pytest.fixture
def mkv(video, tmp_path):
    """A scene as film.mkv, and boxes for it."""
    path = tmp_path / "film.mkv"
    with av.open(str(video)) as source, av.open(str(path), "w") as film:
        tracks = {track.index: film.add_stream_from_template(track) for track in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream.index]
                film.mux(packet)
    (tmp_path / "boxes.csv").write_text("".join(f"film,{t},0.1,0.1,0.5,0.9,,1.0\n" for t in range(4)))
    return path, open_detector(str(tmp_path / "boxes.csv"))


def test_a_file_that_lies_about_its_duration_is_detected_on_as_far_as_it_goes(mkv, predictor, tmp_path):
    path, detector = mkv
    before, duration, after = path.read_bytes().partition(b"\x44\x89\x88")  # Matroska's, a float64 of milliseconds
    path.write_bytes(before + duration + struct.pack(">d", 36e6) + after[8:])
    results, failed = detect_videos([path], tmp_path / "out", predictor, detector, replace(OPTIONS, outputs=("csv",)))
    assert results[path].keyframes == 4 and results[path].missing == pytest.approx(36000, abs=10)
    assert "are missing; the rest is processed" in failed[path]


def test_a_file_that_is_still_being_written_is_detected_on_anew_when_there_is_more(mkv, predictor, tmp_path):
    path, detector = mkv
    whole, seen, options = path.read_bytes(), [], replace(OPTIONS, outputs=("csv",))
    for share in (0.4, 0.8, 1.0):
        path.write_bytes(whole[: int(len(whole) * share)])
        results, _ = detect_videos([path], tmp_path / "out", predictor, detector, options)
        seen.append(results[path].keyframes)
    assert seen == sorted(seen) and seen[0] < seen[-1] == 4
