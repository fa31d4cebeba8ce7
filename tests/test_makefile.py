"""`make`, with a stand-in for the set-up: what it runs, what it passes on, and when it sets up again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SET_UP = """\
import sys
from pathlib import Path
print("setting up")
stamp = Path(sys.argv[1])
command = stamp.parent / "bin" / "avsf-det"
command.parent.mkdir(parents=True, exist_ok=True)
command.write_text('#!/bin/sh\\nfor word; do echo "<$word>"; done\\n')
command.chmod(0o755)
stamp.touch()
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "setup.py", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "environment.py").write_text(SET_UP)
    return tmp_path


def make(folder: Path, *arguments: str) -> list[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VIDEO"))
    }
    command = ["make", "--no-print-directory", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_demo_sets_up_once(checkout):
    assert make(checkout, "demo") == ["setting up", "<demo>"]
    assert make(checkout, "demo") == ["<demo>"]


@pytest.mark.parametrize("video", ["clip.mp4", "my holiday/it's a clip.mp4", 'a "b" `c`.mp4'])
def test_demo_passes_a_video_on(checkout, video):
    make(checkout, "setup")
    assert make(checkout, "demo", f"VIDEO={video}") == ["<demo>", "<--video>", f"<{video}>"]


@pytest.mark.parametrize("changed", ["requirements/lock.txt", "tools/environment.py", "setup.py"])
def test_a_change_of_what_the_environment_is_made_from_sets_up_again(checkout, changed):
    make(checkout, "setup")
    os.utime(checkout / changed)
    assert make(checkout, "demo") == ["<demo>"]
    with open(checkout / changed, "a") as file:
        file.write("# another line\n")
    assert make(checkout, "demo") == ["setting up", "<demo>"]


def test_clean_keeps_results(checkout):
    make(checkout, "setup")
    (checkout / "demo").mkdir()
    make(checkout, "clean")
    assert not (checkout / ".venv").exists()
    assert (checkout / "demo").exists()


def test_help_names_every_target(checkout):
    targets = {"help", "setup", "demo", "test", "test-browser", "docs", "lint", "format", "lock", "clean"}
    assert {line.split()[0] for line in make(checkout, "help")} == targets
