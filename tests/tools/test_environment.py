"""The set-up's decisions, without its downloads."""

from __future__ import annotations

import subprocess
import sys

import environment
import pytest

PIP = [sys.executable, "-m", "pip"]


@pytest.fixture
def steps(monkeypatch) -> list[str]:
    """The names of the programs that install, in order; pip knows no settings but a test's own."""
    names = []
    monkeypatch.setattr(environment, "run", lambda *command: names.append("uv" if command[0].endswith("uv") else "pip"))
    for name in [name for name in environment.os.environ if name.startswith("PIP_") or name == "SSL_CERT_FILE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return names


def test_uv_installs_from_the_public_index(steps):
    environment.install_lock("bin/python", PIP)
    assert steps == ["uv"]


@pytest.mark.parametrize("setting", ["PIP_INDEX_URL", "PIP_PROXY", "PIP_TRUSTED_HOST", "PIP_NO_INDEX"])
def test_pip_installs_where_it_was_told_of_sources_that_uv_does_not_know(steps, monkeypatch, setting):
    monkeypatch.setenv(setting, "https://mirror.example/simple")
    environment.install_lock("bin/python", PIP)
    assert steps == ["pip"]


def test_pip_installs_where_uv_fails(steps, monkeypatch, capsys):
    def run(*command: str) -> None:
        steps.append(command[0])
        if command[0].endswith("uv"):
            raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(environment, "run", run)
    environment.install_lock("bin/python", PIP)
    assert steps == ["bin/uv", sys.executable]
    assert "trying pip" in capsys.readouterr().out


def test_uv_gets_the_certificates_that_pip_was_given(steps, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "")  # so that it is put back afterwards
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("PIP_CERT", "/company/ca.pem")
    environment.install_lock("bin/python", PIP)
    assert environment.os.environ["SSL_CERT_FILE"] == "/company/ca.pem"


def test_an_interrupted_set_up_leaves_no_stamp_of_an_older_one(monkeypatch, tmp_path):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / ".venv"
    folder.mkdir()
    (folder / ".ready-old").touch()
    monkeypatch.setattr(environment.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environment.make_environment(folder / ".ready-new")
    assert list(folder.iterdir()) == []
