"""Make an installable wheel of Detectron2 from what PyPI has.

Detectron2 publishes no files on PyPI, but `sal-detectron2` 0.7.2 there holds upstream's commit a59f0563 (2024-04-17)
with three one-line changes and all model-zoo configs, beside a binary for one version of Python, a stray package
`tools` and requirements that do not fit. This takes the Python part and the licence from it, byte for byte, and states
the requirements anew (requirements/detectron2.in), as a wheel for every Python. Its version, 0.6+a59f056, differs from
upstream's 0.6 so that pip installs upstream over it where a user asks for that.

Without the binary there is no deformable convolution and there are no rotated boxes; all else falls back to
torchvision and pycocotools by itself.

Usage: python tools/detectron2_wheel.py FOLDER    (needs pip)
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SOURCE = "sal-detectron2==0.7.2 --hash=sha256:491af0c7f79bdb2d178e46f6cb16a97c4ac968d45c41ea3f6b6435d59bbee561"
REQUIREMENTS = Path(__file__).parents[1] / "requirements" / "detectron2.in"
VERSION = "0.6+a59f056"
DIST_INFO = f"detectron2-{VERSION}.dist-info"
WHEEL = "Wheel-Version: 1.0\nGenerator: detectron2_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def download(folder: Path) -> Path:
    """The published wheel, fetched into `folder` by pip and checked against its hash."""
    wanted = folder / "source.txt"
    wanted.write_text(SOURCE + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    # The published wheel calls itself cp310, whatever Python is to run it.
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version=3.10"]
    subprocess.run([*pip, *options, f"--dest={folder}", f"--requirement={wanted}"], check=True)
    return next(folder.glob("*.whl"))


def repack(source: Path, folder: Path) -> Path:
    """Detectron2's wheel made from the published one, written into `folder`; the same bytes at every call."""
    with zipfile.ZipFile(source) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("detectron2/")]
        files = {name: wheel.read(name) for name in names if not name.endswith((".so", "/"))}
        licence = next(name for name in wheel.namelist() if name.endswith(".dist-info/LICENSE"))
        files[f"{DIST_INFO}/LICENSE"] = wheel.read(licence)
    files[f"{DIST_INFO}/METADATA"] = _metadata().encode()
    files[f"{DIST_INFO}/WHEEL"] = WHEEL.encode()
    record = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{DIST_INFO}/RECORD"] = "".join([*record, f"{DIST_INFO}/RECORD,,\n"]).encode()

    target = folder / f"detectron2-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # dated 1980, so that the same files make the same wheel
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return target


def _metadata() -> str:
    lines = REQUIREMENTS.read_text().splitlines()
    requirements = [f"Requires-Dist: {line}" for line in lines if line and not line.startswith("#")]
    home_page = "Home-page: https://github.com/facebookresearch/detectron2"
    head = ["Metadata-Version: 2.1", "Name: detectron2", f"Version: {VERSION}", home_page]
    return "\n".join([*head, "License: Apache-2.0", "License-File: LICENSE", *requirements]) + "\n"


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        repack(download(Path(scratch)), Path(sys.argv[1]))
