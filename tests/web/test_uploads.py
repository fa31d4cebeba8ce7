import errno
import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path, PureWindowsPath
from unittest.mock import Mock
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.errors import UserError
from avsf_det.web.uploads import ReportedProgress, Uploads, display_name, stored_name, without_folders


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


NAMES = [
    "..mp4",
    "...mp4",
    ".mp4",
    " .mp4",
    "a/b.mp4",
    "../../../x.mp4",
    "/etc/passwd.mp4",
    "a\\b.mp4",
    "C:.mp4",
    "CON.mp4",
]
NAMES += [
    "x" * 250 + ".mp4",
    "ü" * 200 + ".mp4",
    "\udcff\udcfe.mp4",
    "a\0b.mp4",
    "a\nb.mp4",
    "\u202e4pm.mp4",
    "--help.mp4",
]
NAMES += [
    ".avsf-det.mp4",
    ".incoming.mp4",
    "original.mp4",
    "a..mp4",
    "%2e%2e.mp4",
    "~.mp4",
    "$(id).mp4",
    "*.mp4",
    "a.MP4",
]


@pytest.mark.parametrize("content", ["no video", ""])
def test_uploads_bad_video_of_any_name_removes_no_results(uploads, video, tmp_path, content):
    uploads.detect(video, Reports())
    before = sorted(uploads.folder.rglob("*"))
    upload = tmp_path / "upload"
    for name in NAMES:
        upload.write_text(content)
        with pytest.raises(UserError) as caught:
            uploads.detect(upload, Reports(), name)
        assert str(tmp_path) not in str(caught.value)
        assert sorted(uploads.folder.rglob("*")) == before, name
        assert {path.name for path in tmp_path.iterdir()} == {"served", "upload"}


@pytest.mark.parametrize(
    "name", ["..mp4", "x" * 250 + ".mp4", "\udcff.MP4", "a/\u202eb\n.mp4", "<b>&.mp4", "nul.mp4"], ids=ascii
)
def test_uploads_any_name_is_detected_within_the_folder(uploads, video, tmp_path, name):
    before = set(tmp_path.iterdir())
    _, found = uploads.detect(video, Reports(), name)
    assert uploads.earlier() == [found] and set(tmp_path.iterdir()) == before
    folder = unquote(found.page).partition("/")[0]
    assert folder.endswith(f"-{hashlib.sha256(video.read_bytes()).hexdigest()}")
    assert all(uploads.file(unquote(url)) for url in found.files) and len(found.files) == 5


@given(st.text(st.characters(codec=None), max_size=300))
def test_stored_name_any_text_is_one_safe_part_of_a_path(name):
    stem, suffix = stored_name(f"{name}.mp4")
    assert suffix == ".mp4" and stem == stem.strip(". ") and 0 < len(stem.encode()) <= 101
    assert not set(stem) & set('/\\<>:"|?*\0\n') and Path(stem).name == stem
    assert not PureWindowsPath(stem).is_reserved() or sys.version_info >= (3, 13)
    assert display_name(f"{name}.mp4").encode() and len(display_name(f"{name}.mp4")) <= 256


@pytest.mark.parametrize("stem", ["COM1", "con", "Nul.a", "lpt9 .b", "COM\u00b9", "conin$"])
def test_stored_name_reserved_on_windows_gets_a_prefix(stem):
    assert stored_name(f"{stem}.mp4") == (f"_{stem}", ".mp4")
    assert stored_name(f"{stem[:3]}x.mp4") == (f"{stem[:3]}x", ".mp4")


@pytest.mark.parametrize(
    "name", ["a b#c%20d?.mp4", "ünï → 2.mp4", "-x.mp4", "\u0645\u06cc\u200c\u062e.mp4", "a\u202f1.mp4"]
)
def test_display_name_of_a_usual_file_is_unchanged(name):
    assert display_name(name) == name


def test_uploads_folder_that_is_not_theirs_is_neither_used_nor_removed(uploads, tmp_path):
    upload = tmp_path / "notes.mp4"
    upload.write_text("no video")
    foreign = uploads.folder / f"notes-{hashlib.sha256(b'no video').hexdigest()}"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="in use by something else"):
        uploads.detect(upload, Reports())
    assert [path.name for path in foreign.rglob("*")] == ["mine.txt"]
    uploads._remove(foreign)
    uploads._remove(uploads.folder)
    uploads._remove(tmp_path)
    assert (foreign / "mine.txt").exists() and upload.exists()
    (foreign / "mine.txt").unlink()
    foreign.rmdir()
    (tmp_path / "elsewhere").mkdir()
    foreign.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="in use by something else"):
        uploads.detect(upload, Reports())
    assert not any((tmp_path / "elsewhere").iterdir())


def test_uploads_link_or_folder_is_no_upload(uploads, tmp_path):
    (tmp_path / "link.mp4").symlink_to("/etc/passwd")
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "link.mp4", tmp_path / "folder.mp4"):
        with pytest.raises(UserError, match="not a file"):
            uploads.detect(path, Reports())
    assert not any(uploads.folder.iterdir())


def test_uploads_failure_after_earlier_success_keeps_the_results(uploads, video, monkeypatch):
    _, found = uploads.detect(video, Reports())
    shutil.rmtree(next(uploads.folder.glob("*/.avsf-det")))  # it may be deleted at any time
    monkeypatch.setattr("avsf_det.web.uploads.detect_video", Mock(side_effect=UserError("no memory")))
    with pytest.raises(UserError, match="no memory"):
        uploads.detect(video, Reports())
    assert uploads.earlier() == [found]


def test_uploads_full_disk_reported_without_folders(uploads, video, tmp_path, monkeypatch):
    upload = Path(shutil.copy(video, tmp_path / "a.mp4"))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))
    with monkeypatch.context() as disk:
        disk.setattr("avsf_det.web.uploads.os.link", Mock(side_effect=full))
        disk.setattr("avsf_det.web.uploads.shutil.copyfile", Mock(side_effect=full))
        with pytest.raises(UserError, match="No space left") as caught:
            uploads.detect(upload, Reports())
    assert str(tmp_path) not in str(caught.value)
    assert uploads.detect(upload, Reports())[1] in uploads.earlier()


def test_uploads_same_content_by_another_name_is_shown_by_it(uploads, video, tmp_path):
    uploads.detect(video, Reports(), "a?.mp4")
    _, found = uploads.detect(video, Reports(), "a*.mkv")
    assert found.name == "a*.mkv" and uploads.earlier() == [found]


def test_uploads_folders_are_private(uploads, video):
    uploads.detect(video, Reports())
    for folder in (uploads.folder, *uploads.folder.glob("*-*")):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot write /srv/a/b.csv (full)", "cannot write b.csv (full)"),
        ("a.mp4: 3/4 s, 16:9, and/or", "a.mp4: 3/4 s, 16:9, and/or"),
        (f"{Path.home()}/x y/z", "x y/z"),
        ("'/a/b' and (/c/d/e.f)", "'b' and (e.f)"),
    ],
)
def test_without_folders_message_keeps_names_only(text, shown):
    assert without_folders(text) == shown
