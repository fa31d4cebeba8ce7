"""Make the project's virtual environment: the versions locked in requirements/, Detectron2, and the project itself.

`make` calls this when the stamp is missing. An environment without it is half made or out of date: it is thrown away
and made anew, from uv's and pip's download caches as far as they go. Two calls at once wait for each other.

Usage: python tools/environment.py VENV/STAMP
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
LOCKED = ROOT / "requirements" / "lock.txt"
BOOTSTRAP = ROOT / "requirements" / "bootstrap.txt"
# pip's settings that say where packages come from. uv reads none of them: where one is set, pip does the work.
PIP_SOURCES = {"index-url", "no-index", "proxy", "client-cert", "trusted-host"}


def make_environment(stamp: Path) -> None:
    """Make the environment that holds `stamp`, which is written last.

    Raises:
        subprocess.CalledProcessError: if a step fails; it has said why.
    """
    folder = stamp.parent
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    for old in folder.glob(".ready-*"):  # before the rest, which takes a while and may be cut short
        old.unlink()
    if folder.exists():
        shutil.rmtree(folder)

    say(f"making the Python {sys.version_info.major}.{sys.version_info.minor} environment {folder}")
    # Debian's python3 lacks ensurepip without python3-venv; then the pip beside it serves the environment.
    has_ensurepip = importlib.util.find_spec("ensurepip") is not None
    venv.create(folder, symlinks=True, with_pip=has_ensurepip)
    first_pip = pip if has_ensurepip else [sys.executable, "-m", "pip", "--python", python]
    run(*first_pip, "install", "--quiet", "--require-hashes", "-r", str(BOOTSTRAP))

    say("installing the locked packages (about 3 GB to fetch the first time)")
    install_lock(python, pip)

    say("installing Detectron2 and avsf-det")
    with tempfile.TemporaryDirectory() as scratch:
        run(python, "tools/detectron2_wheel.py", scratch)
        wheel = next(Path(scratch).glob("*.whl"))
        run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    os.environ["PYTHONWARNINGS"] = "ignore"  # setuptools warns of every editable installation
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--editable", ".")

    say("fetching the small person detector's weights")
    fetch = subprocess.run([python, "-m", "detectors.weights"], cwd=ROOT, capture_output=True, text=True)
    if fetch.returncode:
        reason = fetch.stderr.strip().rpartition("\n")[2]
        say(f"not now ({reason}); they are fetched at first use")
    stamp.touch()


def install_lock(python: str, pip: list[str]) -> None:
    """Install the locked packages by uv, which takes a fifth of pip's time, or by pip where uv will not do."""
    options = ["install", "--no-deps", "--require-hashes", "--no-build-isolation", "-r", str(LOCKED)]
    settings = pip_settings(pip)
    if not PIP_SOURCES & settings.keys():
        if "cert" in settings:
            os.environ.setdefault("SSL_CERT_FILE", settings["cert"])
        try:
            # as pip does; where PYTHONDONTWRITEBYTECODE is set, each start would else compile PyTorch, for ten seconds
            run(str(Path(python).with_name("uv")), "pip", *options, "--compile-bytecode", "--python", python)
            return
        except subprocess.CalledProcessError:
            say("uv could not install them; trying pip")
    run(*pip, *options)


def pip_settings(pip: list[str]) -> dict[str, str]:
    """The user's settings of pip, from its files and the PIP_ variables, by name without the section."""
    listing = subprocess.run([*pip, "config", "list"], check=True, capture_output=True, text=True).stdout
    pairs = (line.split("=", 1) for line in listing.splitlines())
    return {name.rpartition(".")[2]: value.strip("'\"") for name, value in pairs}


def run(*command: str) -> None:
    """Run a step. It inherits the lock, so that a step left over from a killed set-up holds off the next one."""
    subprocess.run(command, check=True, cwd=ROOT, close_fds=False)


def wait_for(lock: IO) -> None:
    """Take the lock, once no other set-up holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another one is at work here; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def say(text: str) -> None:
    """One line of progress."""
    print(f"set-up: {text}", flush=True)


def main() -> None:
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"set-up: this is Python {sys.version.split()[0]}, 3.10 or later is needed; make PYTHON=python3.11 …")
    stamp = Path(sys.argv[1]).absolute()
    with open(__file__) as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            wait_for(lock)
            if not stamp.exists():
                make_environment(stamp)
        except KeyboardInterrupt:
            sys.exit("set-up: interrupted; the next run makes it anew")
        except subprocess.CalledProcessError as error:
            sys.exit(f"set-up: failed, see above: {' '.join(error.cmd)}\nset-up: mend the cause and run it again")
        except OSError as error:
            sys.exit(f"set-up: failed: {error}\nset-up: mend the cause and run it again")


if __name__ == "__main__":
    main()
