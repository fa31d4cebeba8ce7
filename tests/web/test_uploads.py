import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from avsf_det.errors import UserError
from avsf_det.web.uploads import ReportedProgress, Uploads


class Reports(list):
    """What is reported; from the `limit`-th time on, whoever listens wants no more."""

    limit = 10**9

    def __call__(self, share, line):
        self.append((share, line))
        if len(self) >= self.limit:
            raise InterruptedError


def names(found):
    return sorted(unquote(url).rpartition("/")[2] for url in found.files)


def test_an_upload_is_detected_on_and_everything_is_in_its_folder(uploads, video):
    reports = Reports()
    words, found = uploads.detect(video, reports)
    assert "persons, in" in words and str(uploads.folder) not in words
    assert names(found) == [f"test_0000.{suffix}" for suffix in ("csv", "html", "jsonl", "mp4", "png")]
    folder = (uploads.folder / unquote(found.page)).parent
    assert (folder / "original" / "test_0000.mp4").read_bytes() == video.read_bytes()
    assert 'src":"original/test_0000.mp4"' in (uploads.folder / unquote(found.page)).read_text()
    assert all(0 <= share <= 1 for share, _ in reports) and reports[-1][0] == 1
    assert all(any(stage in line for _, line in reports) for stage in ("actions", "results"))
    assert uploads.earlier() == [found]


def test_the_upload_itself_may_go(uploads, video, tmp_path):
    upload = Path(shutil.copy(video, tmp_path))
    _, found = uploads.detect(upload, Reports())
    upload.unlink()
    assert uploads.earlier() == [found]
    assert (uploads.folder / unquote(found.page)).with_suffix(".mp4").exists()


def test_what_is_done_is_not_done_again(uploads, video):
    first, again = Reports(), Reports()
    assert uploads.detect(video, first) == uploads.detect(video, again)
    assert first and not again


def test_one_that_was_stopped_goes_on_and_ends_the_same(uploads, predictor, video, tmp_path):
    whole = Reports()
    uploads.detect(video, whole)
    stopped, rest = Reports(), Reports()
    stopped.limit = 2 + max(i for i, (_, line) in enumerate(whole) if "actions" in line)  # while results are drawn
    other = Uploads(tmp_path / "other", predictor, uploads._detector, uploads._options)
    with pytest.raises(InterruptedError):
        other.detect(video, stopped)
    assert other.earlier() == []
    _, found = other.detect(video, rest)
    assert [line for _, line in rest if "actions" in line] == ["test_0000.mp4: actions"]  # they were kept
    csv = Path(unquote(found.page)).with_suffix(".csv")
    assert (other.folder / csv).read_bytes() == (uploads.folder / csv).read_bytes()


def test_two_of_one_name_do_not_meet(uploads, video, live_file, tmp_path):
    _, one = uploads.detect(video, Reports())
    _, other = uploads.detect(Path(shutil.copy(live_file, tmp_path / "test_0000.mp4")), Reports())
    assert one.page != other.page
    assert {found.page for found in uploads.earlier()} == {one.page, other.page}


@pytest.mark.parametrize("name", ["a b#c%20d?.mp4", "ünï → 2.mp4", "-x.mp4"])
def test_any_name_is_shown_as_it_was(uploads, video, tmp_path, name):
    _, found = uploads.detect(Path(shutil.copy(video, tmp_path / name)), Reports())
    assert found.name == name
    assert all((uploads.folder / unquote(url)).is_file() for url in found.files)


def test_what_is_no_video_is_said_in_the_name_the_user_knows(uploads, tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    with pytest.raises(UserError, match=r"^notes\.mp4: ") as caught:
        uploads.detect(text, Reports())
    assert str(tmp_path) not in str(caught.value)
    assert uploads.earlier() == [] and not any(uploads.folder.iterdir())


def test_what_was_scored_is_kept_when_the_results_cannot_be_written(uploads, video, monkeypatch):
    def full(*_, **__):
        raise UserError("no room")

    with monkeypatch.context() as disk:
        disk.setattr("avsf_det.engine.detect.write_results", full)
        with pytest.raises(UserError, match="no room"):
            uploads.detect(video, Reports())
    rest = Reports()
    uploads.detect(video, rest)
    assert [line for _, line in rest if "actions" in line] == ["test_0000.mp4: actions"]


def test_one_that_is_cut_off_is_shown_and_said_to_be(uploads, live_file, tmp_path):
    short = tmp_path / "test_0000.mkv"
    short.write_bytes(live_file.read_bytes()[: live_file.stat().st_size * 2 // 3])
    words, found = uploads.detect(short, Reports())
    assert "cut off" in words
    assert found in uploads.earlier()


def test_how_long_it_still_takes_is_told_once_it_is_known(monkeypatch):
    now = iter([100.0, 100.0, 130.0, 160.0])
    monkeypatch.setattr("avsf_det.web.uploads.time.monotonic", lambda: next(now))
    reports = Reports()
    with ReportedProgress(reports, total=40, desc="actions", initial=10, unit="keyframe") as bar:
        bar.update(10)
        bar.update(20)
    assert reports == [(0.25, "actions"), (0.5, "actions, 1:00 left"), (1.0, "actions")]
