import pytest

from avsf_det.cli import main
from avsf_det.engine.many.job import DONE, Outcome
from avsf_det.engine.many.manifest import Manifest
from avsf_det.engine.many.run import named_jobs
from avsf_det.engine.many.storage import Storage
from avsf_det.media.source import VideoSource


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "out").mkdir()
    return Manifest(Storage(tmp_path / "out"))


def names(videos, tmp_path, manifest):
    return {job.video: job.name for job in named_jobs(videos, Storage(tmp_path / "out"), manifest)}


def test_each_video_gets_a_name_of_its_own_which_it_keeps_whatever_else_is_done(tmp_path, manifest):
    one, two, three = tmp_path / "x" / "a.mp4", tmp_path / "y" / "a.mp4", "s3://bucket/a.mp4"
    source = VideoSource(tmp_path / "frames")
    first = names([one, two, one, three, source], tmp_path, manifest)
    assert first == {str(one): "a", str(two): "a_2", three: "a_3", str(source.path): "frames"}
    for video, name in first.items():
        manifest.add(Outcome(video, name, DONE))
    inside = tmp_path / "out" / "b.mp4"
    inside.touch()
    later = names([tmp_path / "z" / "a.mp4", two, inside], tmp_path, manifest)
    assert later == {str(tmp_path / "z" / "a.mp4"): "a_4", str(two): "a_2", str(inside): "b_2"}


def test_no_result_replaces_an_input_that_came_to_have_its_name(tmp_path, manifest):
    video, inside = tmp_path / "x" / "a.mp4", tmp_path / "out" / "a.mp4"
    inside.touch()
    manifest.add(Outcome(str(video), "a", DONE))
    assert names([video, inside], tmp_path, manifest) == {str(video): "a_2", str(inside): "a_3"}
    assert [job.earlier for job in named_jobs([video, inside], Storage(tmp_path / "out"), manifest)] == [None, None]


def test_by_addresses_videos_come_and_results_go_and_a_second_run_does_nothing(
    detect, many_videos, many_boxes, single, tmp_path, monkeypatch, capsys
):
    """A list of one path and one address, the results to an address."""
    monkeypatch.setenv("AVSF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "videos.txt").write_text(f"{many_videos[0]}\nlocal://{many_videos[1]}\n")
    arguments = detect(
        tmp_path / "videos.txt", detector=many_boxes, output=f"local://{tmp_path}/out", outputs="mp4,csv,jsonl,timeline"
    )
    assert main(arguments) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in told] == [str(many_videos[0]), f"local://{many_videos[1]}"]
    assert told[1].endswith(f"-> local://{tmp_path}/out/film_1.mp4")
    from tests.engine.many.conftest import hashes

    out = tmp_path / "out"
    assert hashes(out).items() <= single.items() and len(hashes(out)) == 8
    assert not list(tmp_path.glob("cache/videos/*"))
    before = {path: path.stat().st_mtime_ns for path in out.glob("film*")}
    manifest = (out / "manifest.jsonl").read_text()
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("(there already)") == 2
    assert {path: path.stat().st_mtime_ns for path in out.glob("film*")} == before
    assert (out / "manifest.jsonl").read_text() == manifest


def test_what_fails_is_told_with_status_1_and_what_does_not_go_together_with_2(detect, tmp_path, capsys):
    assert main(detect(f"local://{tmp_path}/none.mp4")) == 1
    assert "1 of 1 left out" in (told := capsys.readouterr().err) and "nothing is there" in told
    assert main(detect(f"local://{tmp_path}/none.mp4", outputs="page")) == 2
    assert "add mp4 to --outputs" in capsys.readouterr().err
    assert main(detect("rtsp://camera/1", output="s3://bucket/results")) == 2
    assert "results of a stream are written as they come" in capsys.readouterr().err
