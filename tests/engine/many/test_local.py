import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avsf_det.cli import main
from avsf_det.engine.many.local import LocalEngine
from avsf_det.engine.many.run import run_jobs
from avsf_det.engine.many.storage import Storage
from avsf_det.engine.many.worker import Work
from avsf_det.errors import UserError
from tests.engine.many.conftest import hashes
from tests.engine.many.works import Refusing, Tiny


def told(output):
    """The manifest's lines by the video's name."""
    lines = [json.loads(line) for line in (output / "manifest.jsonl").read_text().splitlines()]
    assert len({line["video"] for line in lines}) == len(lines)
    return {Path(line["video"]).stem: line for line in lines}


def leftovers(folder):
    return [path for path in folder.rglob("*") if ".part" in path.name or ".attempts" in path.parts]


def test_two_workers_make_what_one_process_does_and_a_second_run_does_nothing(run_many, many_videos, single, tmp_path):
    done, failed = run_many(videos=[*many_videos, many_videos[0]])
    assert not failed and len(done) == 6 and hashes(tmp_path / "out") == single
    lines = told(tmp_path / "out")
    assert {name: of["sha256"] for line in lines.values() for name, of in line["files"].items()} == single
    assert len({line["worker"] for line in lines.values()}) == 2
    assert {line["attempts"] for line in lines.values()} == {1}
    assert "persons, in" in next(iter(done.values())).summary()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("film*")}
    again, failed = run_many()
    assert not failed and all(outcome.reused for outcome in again.values())
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("film*")} == before
    assert told(tmp_path / "out") == lines


def test_a_video_whose_worker_is_killed_is_done_by_another(run_many, single, tmp_path):
    done, failed = run_many("film_1", "kill")
    assert (tmp_path / "marker").exists() and not failed and len(done) == 6
    assert hashes(tmp_path / "out") == single
    assert {name: line["attempts"] for name, line in told(tmp_path / "out").items()} == {
        f"film_{number}": 2 if number == 1 else 1 for number in range(6)
    }
    assert not leftovers(tmp_path / "out")


def test_a_video_that_kills_every_worker_and_one_that_is_none_fail_alone(run_many, many_videos, single, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    done, failed = run_many("film_2", "murder", videos=[*many_videos, broken])
    assert len(done) == 5 and len(failed) == 2
    assert "killed its worker 3 times (SIGKILL)" in failed[str(many_videos[2])]
    assert "broken.mp4" in failed[str(broken)]
    line = told(tmp_path / "out")["film_2"]
    assert (line["state"], line["attempts"], line["files"]) == ("failed", 3, {})
    done, failed = run_many()  # what failed is tried again
    assert not failed and hashes(tmp_path / "out") == single and not leftovers(tmp_path / "out")


def test_a_video_that_hangs_fails_when_its_time_is_over(run_many, many_videos, tmp_path):
    done, failed = run_many("film_0", "sleep", time_limit=4, videos=many_videos[:3])
    assert len(done) == 2 and list(failed) == [str(many_videos[0])]
    assert "not done within 4 s; see if it plays, or raise --time-limit" in failed[str(many_videos[0])]
    assert not leftovers(tmp_path / "out")


def test_an_error_that_nobody_foresaw_fails_its_video_and_says_where_it_is_from(run_many, many_videos):
    done, failed = run_many("film_1", "raise", videos=many_videos[:2])
    assert len(done) == 1
    assert "film_1.mp4: ZeroDivisionError: nobody foresaw this (works.py:" in failed[str(many_videos[1])]


def test_a_full_disk_stops_the_run_and_is_told_once(run_many, many_videos, single, tmp_path):
    with pytest.raises(UserError, match=r"No space left.*the same command goes on") as error:
        run_many("film_1", "fill", workers=1)
    assert "1 of 6 videos are done" in str(error.value) and "\n" not in str(error.value)
    assert set(told(tmp_path / "out")) == {"film_0"} and not leftovers(tmp_path / "out")
    _, failed = run_many()
    assert not failed and hashes(tmp_path / "out") == single


@pytest.mark.parametrize("deaths", [0, 250])
def test_a_thousand_tiny_ones_are_each_done_once(tmp_path, deaths):
    output = Storage(tmp_path / "out")
    work = Work(Tiny(output, deaths), output)
    videos = [tmp_path / f"{number}.mp4" for number in range(1, 1001)]
    done, failed = run_jobs(videos, output, LocalEngine(work, 2))
    assert not failed and len(done) == 1000 and len(told(tmp_path / "out")) == 1000
    assert {path.read_text() for path in (tmp_path / "out").glob("*.txt")} == {"done\n"}
    again = sum(outcome.attempts - 1 for outcome in done.values())
    assert again == (1000 // deaths if deaths else 0)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("no such model; give another"), "no such model; give another; 0 of 1 videos are done"),
        (ZeroDivisionError("what"), "ZeroDivisionError: what"),
        (signal.SIGKILL.value, r"workers ended \(SIGKILL\) before they had loaded the model; .*fewer --workers"),
    ],
)
def test_workers_that_cannot_begin_end_the_run(tmp_path, error, said):
    output = Storage(tmp_path / "out")
    with pytest.raises(UserError, match=said):
        run_jobs([tmp_path / "a.mp4"], output, LocalEngine(Work(Refusing(error), output), 2))


def test_asked_to_stop_it_leaves_neither_half_files_nor_processes(detect, many_videos, many_boxes, tmp_path):
    out = tmp_path / "out"
    arguments = detect(*many_videos[:3], workers=2, rate=10, detector=many_boxes)
    command = [sys.executable, "-m", "avsf_det", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("film*")) and not list(out.glob(".film*.part*")):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.02)
    process.terminate()
    complaint = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM, complaint
    assert "of 3 videos are done; the same command goes on" in complaint and "Traceback" not in complaint
    assert not leftovers(out)
    deadline = time.monotonic() + 30
    while running(process.pid):
        assert time.monotonic() < deadline, running(process.pid)
        time.sleep(0.1)
    assert main(arguments) == 0
    assert {line["state"] for line in told(out).values()} == {"done"} and len(told(out)) == 3
    assert not leftovers(out)


def running(session):
    """The processes of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(of) == session and state != "Z":
            found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]
