"""Ctrl-C on the command: what was finished is kept, and nothing half written."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

from avsf_det.media.video import probe
from avsf_det.media.writer import VideoWriter
from tests.test_cli import SUFFIXES, files


def listen():
    """Heed Ctrl-C, which a shell's background jobs are made to ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupted(arguments, ready, folder):
    """Run the command, send it Ctrl-C as a terminal would as soon as `ready()`, and return status and stderr."""
    environment = os.environ | {"AVSF_CACHE": str(folder / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "avsf_det.cli", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=environment,
        preexec_fn=listen,
    )
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    complaint = process.communicate(timeout=300)[1]
    assert "Traceback" not in complaint, complaint
    return process.returncode, complaint


def test_ctrl_c_while_detecting_leaves_what_was_finished_and_nothing_half_written(detect, video, tmp_path):
    with VideoWriter(tmp_path / "long.mp4", 320, 240, 30) as writer:
        for n in range(900):
            writer.write(np.full((240, 320, 3), n % 256, np.uint8), n / 30)
    out = tmp_path / "out"
    status, complaint = interrupted(
        detect(video, tmp_path / "long.mp4"), lambda: [p for p in out.glob("*") if "long" in p.name], tmp_path
    )
    assert status == 130 and complaint.splitlines()[-1] == "interrupted; what was finished is kept"
    assert sorted(path.name for path in files(out)) == [f"test_0000.{suffix}" for suffix in SUFFIXES]


def test_ctrl_c_while_scenes_are_made_leaves_whole_videos(tmp_path):
    out = tmp_path / "out"
    arguments = ["data", "scenes", "--output", out, "--train", 40, "--width", 128, "--height", 96, "--workers", 2]
    status, _ = interrupted(arguments, lambda: len(list(out.glob("videos/train_*.mp4"))) >= 2, tmp_path)
    assert status == 130
    assert all(path.suffix == ".mp4" and probe(path) for path in files(out / "videos"))
    assert len(files(out / "videos")) < 40
