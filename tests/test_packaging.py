"""The project as pip installs it, and the lock beside what it was made from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements"
SOURCES = ("avsf_det", "detectors", "ava_eval", "configs", "requirements")
SOURCE_FILES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")


def pip(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the project as `pip install .` puts it there, by way of the source distribution."""
    folder = tmp_path_factory.mktemp("packaging")
    source, target = folder / "source", folder / "installed"
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCE_FILES:
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-W", "ignore", "setup.py", "--quiet", "sdist", "--dist-dir", str(folder)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    [archive] = folder.glob("*.tar.gz")
    pip("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", target, archive)
    return target


def run_installed(installed: Path, *command: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=installed.parent, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("package", ["avsf_det", "detectors", "ava_eval"])
def test_an_installed_package_is_imported_from_where_pip_put_it(installed, package):
    done = run_installed(installed, sys.executable, "-c", f"import {package}; print({package}.__file__)")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed)


@pytest.mark.parametrize("command", ["avsf-det", "ava-eval"])
def test_an_installed_command_prints_its_help(installed, command):
    done = run_installed(installed, str(installed / "bin" / command), "--help")
    assert done.returncode == 0, done.stderr
    assert command in done.stdout


def test_installed_configs_are_found_by_name(installed):
    names = sorted(str(path.relative_to(ROOT / "configs")) for path in (ROOT / "configs").rglob("*.yaml"))
    code = "import sys; from avsf_det.config import find_config; [print(find_config(name)) for name in sys.argv[1:]]"
    done = run_installed(installed, sys.executable, "-c", code, *names)
    assert done.returncode == 0, done.stderr
    assert names
    assert [Path(line) for line in done.stdout.splitlines()] == [installed / "avsf_det" / "configs" / n for n in names]


def test_nothing_but_the_three_packages_is_installed(installed):
    top_level = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top_level == {"avsf_det", "detectors", "ava_eval", "bin"}


def test_the_environment_is_consistent():
    assert "No broken requirements" in pip("check")


def requirements(name: str) -> list[Requirement]:
    lines = (REQUIREMENTS / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def locked(name: str) -> dict[str, list[str]]:
    """Package name -> its locked versions (more than one where Pythons differ)."""
    versions: dict[str, list[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (REQUIREMENTS / name).read_text(), re.MULTILINE):
        versions.setdefault(package, []).append(version)
    return versions


@pytest.mark.parametrize(
    ("source", "lock"),
    [
        ("runtime.in", "lock.txt"),
        ("detectron2.in", "lock.txt"),
        ("serve.in", "lock.txt"),
        ("ray.in", "lock.txt"),
        ("export.in", "lock.txt"),
        ("dev.in", "lock.txt"),
        ("bootstrap.in", "bootstrap.txt"),
    ],
)
def test_every_requirement_is_locked_within_its_bounds(source, lock):
    versions = locked(lock)
    for requirement in requirements(source):
        assert versions.get(requirement.name), f"{requirement.name} is not in {lock}: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions[requirement.name])


@pytest.mark.parametrize("lock", ["lock.txt", "bootstrap.txt"])
def test_every_locked_package_has_a_hash(lock):
    entries = re.split(r"\n(?=[a-z])", (REQUIREMENTS / lock).read_text().split("\n", 2)[2])
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
