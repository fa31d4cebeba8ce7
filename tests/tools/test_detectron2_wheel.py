"""Detectron2's wheel, made from a small stand-in for the published one."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from detectron2_wheel import DIST_INFO, REQUIREMENTS, repack

PUBLISHED = {
    "detectron2/__init__.py": "answer = 42\n",
    "detectron2/_C.cpython-310-x86_64-linux-gnu.so": "binary",
    "detectron2/model_zoo/configs/Base.yaml": "MODEL: {}\n",
    "tools/__init__.py": "",
    "sal_detectron2-0.7.2.dist-info/LICENSE": "Apache License\n",
    "sal_detectron2-0.7.2.dist-info/METADATA": "Name: sal-detectron2\nRequires-Dist: numpy<2\n",
}


@pytest.fixture
def published(tmp_path) -> Path:
    path = tmp_path / "sal_detectron2-0.7.2-cp310-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in PUBLISHED.items():
            wheel.writestr(name, text)
    return path


def test_pip_installs_the_python_part_and_nothing_else(published, tmp_path):
    wheel, target = repack(published, tmp_path), tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", f"--target={target}", wheel], check=True)
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert {name for name in files if ".dist-info" not in name} == {
        "detectron2/__init__.py",
        "detectron2/model_zoo/configs/Base.yaml",
    }
    assert (target / DIST_INFO / "LICENSE").read_text() == "Apache License\n"
    distribution = Distribution.at(target / DIST_INFO)
    assert (distribution.metadata["Name"], distribution.version) == ("detectron2", "0.6+a59f056")
    assert set(distribution.requires) == {
        line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")
    }


def test_the_same_source_makes_the_same_bytes(published, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = (repack(published, folder).read_bytes() for folder in folders)
    assert one == two
