"""The command `avsf-det classify`; tests/engine/test_classify.py sees what it does."""

import pytest

from avsf_det.cli import main
from avsf_det.data.classification.clips import Head

ACTIONS = Head("action", ("clapping", "drumming", "waving"))


@pytest.fixture
def run(clip_weights, tmp_path):
    def run(*videos, weights=None, words=()):
        place = ["--weights", str(weights or clip_weights(ACTIONS)), "-o", str(tmp_path / "out"), "--device", "cpu"]
        return main(["classify", *map(str, videos), *place, *words])

    return run


def test_all_done_is_0_and_each_video_is_told(run, video, tmp_path, capsys):
    (tmp_path / "films").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "films" / name).symlink_to(video)
    assert run(tmp_path / "films", words=["--stride", "2", "--top-k", "1", "--crops", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines[::2]] == [str(tmp_path / "films" / n) for n in ("a.mp4", "b.mp4")]
    assert all(line.startswith("  action: ") and "," not in line for line in lines[1::2])
    assert sorted(path.name for path in (tmp_path / "out").glob("*.*")) == [
        ".avsf-det",
        *("a_classes.csv", "a_classes.png", "b_classes.csv", "b_classes.png"),
    ]


def test_one_that_fails_is_1_and_named(run, video, tmp_path, capsys):
    (tmp_path / "bad.mp4").write_bytes(b"")
    assert run(tmp_path / "bad.mp4", video) == 1
    told = capsys.readouterr()
    assert "1 of 2 left out:" in told.err and "bad.mp4: the file is empty" in told.err
    assert "test_0000.mp4: " in told.out


def test_a_detectors_weights_are_2_and_the_other_command_is_named(run, video, weights, capsys):
    assert run(video, weights=weights) == 2
    assert "`avsf-det detect` is for it" in capsys.readouterr().err.splitlines()[-1]


def test_detect_names_this_command(clip_weights, detect, video, capsys):
    assert main(detect(video, weights=clip_weights(ACTIONS))) == 2
    assert "`avsf-det classify` is for it" in capsys.readouterr().err.splitlines()[-1]


def test_a_stream_is_refused_without_its_password(run, capsys):
    assert run("rtsp://me:secret@camera.local/1") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "rtsp://camera.local/1: a stream; `avsf-det classify` takes files" in line and "secret" not in line


@pytest.mark.parametrize("words", [["--top-k", "0"], ["--stride", "0"], ["--no-audio", "--explain-audio"]])
def test_options_that_make_no_sense(run, video, words, capsys):
    with pytest.raises(SystemExit):
        run(video, words=words)
    assert "expected" in capsys.readouterr().err or words[0] == "--no-audio"
