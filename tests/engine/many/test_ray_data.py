import json
import os

import pytest

from avsf_det.cli import main
from avsf_det.engine.many.ray_data import RayEngine
from avsf_det.engine.many.worker import Work
from avsf_det.errors import UserError
from tests.engine.many.conftest import hashes


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"ray is not installed.*pip install 'avsf-det\[ray\]'"):
        RayEngine(Work(None, None))


def test_an_address_is_of_ray(detect, video, capsys):
    assert main(detect(video, address="head:6379")) == 2
    assert "add --engine ray" in capsys.readouterr().err


def test_an_actor_is_killed_and_all_videos_are_done_once(run_many, single, tmp_path):
    pytest.importorskip("ray.data")
    done, failed = run_many("film_1", "bore", make_engine=RayEngine)
    assert not failed and len(done) == 6
    assert (tmp_path / "marker").read_text() == str(os.nice(0)), "actors give way to whatever else runs"
    assert hashes(tmp_path / "out") == single
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert {line["name"]: line["attempts"] for line in lines} == {f"film_{n}": 2 if n == 1 else 1 for n in range(6)}
    assert {name: told["sha256"] for line in lines for name, told in line["files"].items()} == single
