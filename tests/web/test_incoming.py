import os
import socket
import stat
import threading
import time
from types import SimpleNamespace

import pytest

from avsf_det.errors import UserError
from avsf_det.files import unfinished_path
from avsf_det.web.guard import Access
from avsf_det.web.incoming import IncomingFiles
from tests.web.conftest import file_value


def waiting(uploads):
    return list((uploads.folder / ".incoming").iterdir())


def test_upload_is_private_on_disk(site, uploads):
    site.upload("a.mp4", b"content")
    [path] = waiting(uploads)
    assert path.read_bytes() == b"content" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_upload_any_name_is_no_path(site, uploads, tmp_path):
    before = set(tmp_path.rglob("*"))
    names = ("../../a.mp4", "/etc/cron.d/a.mp4", "..", ".", "a\0b.mp4", "x" * 3000, "C:\\a\\b.mp4", "\u202egpj.mp4")
    for name in names:
        [ticket] = site.upload(name, b"content").json()
        [path] = set(tmp_path.rglob("*")) - before
        assert path == unfinished_path(uploads.folder / ".incoming" / ticket), name
        before.add(path)


def test_upload_above_max_size_refused_and_nothing_left(start, uploads):
    site = start(Access(max_size=100_000))
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for size in (100_001, 1_000_000):
        blocks = [head, b"x" * size, b"\r\n--b--\r\n"]
        for content in (iter(blocks), b"".join(blocks)):  # chunked, or with its length
            answer = site.post("/gradio_api/upload", content=content, headers=headers)
            assert answer.status_code == 413 and "larger than" in answer.text
            assert not waiting(uploads)
    assert site.upload("a.mp4", b"x" * 100_000).status_code == 200


def test_upload_malformed_form_refused_and_nothing_left(site, uploads):
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\n\r\nx'
    field = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n--b--\r\n'
    two = part + b"\r\n" + part + b"\r\n--b--\r\n"
    many, long = b"--b\r\n" + b"X: y\r\n" * 10_000, b"--b\r\nX: " + b"y" * 100_000
    kind = "multipart/form-data; boundary=b"
    bad = [(content, kind) for content in (b"", b"x", b"--b--\r\n", part, field, two, many, long)]
    good = part + b"\r\n--b--\r\n"
    kinds = ("multipart/form-data", "text/plain", "multipart/form-data; boundary=", kind.replace("=b", "=c"))
    for content, kind in bad + [(good, kind) for kind in kinds]:
        answer = site.post("/gradio_api/upload", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 400 and str(uploads.folder) not in answer.text
        assert not waiting(uploads)
    assert site.post("/gradio_api/upload", content=good, headers={"Content-Type": bad[0][1]}).status_code == 200


def test_upload_interrupted_leaves_nothing(site, uploads):
    with socket.create_connection(site.address) as connection:
        head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\n\r\n' + b"x" * 70_000
        request = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n"
        connection.sendall(f"{request}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode() + head)
        while not waiting(uploads):
            time.sleep(0.01)
    while waiting(uploads):
        time.sleep(0.01)


def test_upload_full_disk_reported_and_nothing_left(site, uploads, monkeypatch):
    with monkeypatch.context() as disk:
        disk.setattr("avsf_det.web.incoming.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
        answer = site.upload("a.mp4", b"x")
    assert answer.status_code == 507 and "disk space" in answer.text and not waiting(uploads)
    with monkeypatch.context() as disk:
        disk.setattr("avsf_det.web.incoming._SPARE", 0)
        free = iter([10**9, -1])
        disk.setattr("avsf_det.web.incoming.shutil.disk_usage", lambda _: SimpleNamespace(free=next(free)))
        answer = site.upload("a.mp4", b"x")
    assert answer.status_code == 507 and "No space left" in answer.text and not waiting(uploads)
    assert site.upload("a.mp4", b"x").status_code == 200


def test_upload_progress_ends_when_the_upload_has(site):
    site.upload("a.mp4", b"x", params={"upload_id": "mine"})
    events = site.get("/gradio_api/upload_progress", params={"upload_id": "mine"})
    assert events.headers["content-type"].startswith("text/event-stream") and '"done"' in events.text


def test_incoming_too_many_waiting_oldest_makes_room(site, uploads, video, monkeypatch):
    monkeypatch.setattr("avsf_det.web.incoming._MOST_WAITING", 2)
    tickets = [site.upload("a.mp4", b"x").json()[0] for _ in range(5)]
    assert {path.name for path in waiting(uploads)} == {
        unfinished_path(uploads.folder / ".incoming" / ticket).name for ticket in tickets[-2:]
    }
    assert site.join(file_value(tickets[0])).status_code == 400
    assert "<iframe" in site.detect("a.mp4", video.read_bytes())[1]


def test_incoming_refused_upload_removes_no_waiting_one(site, uploads, monkeypatch):
    monkeypatch.setattr("avsf_det.web.incoming._MOST_WAITING", 1)
    site.upload("a.mp4", b"x")
    [path] = waiting(uploads)
    assert site.post("/gradio_api/upload", content=b"x").status_code == 400
    assert waiting(uploads) == [path]


def test_incoming_queued_uploads_never_make_room(site, uploads, video, monkeypatch):
    monkeypatch.setattr("avsf_det.web.incoming._MOST_WAITING", 2)
    is_running, may_end = threading.Event(), threading.Event()
    detect = uploads.detect

    def wait_and_detect(*arguments):
        is_running.set()
        assert may_end.wait(60)
        return detect(*arguments)

    monkeypatch.setattr(uploads, "detect", wait_and_detect)
    sessions = ("running", "queued1", "queued2")
    for session in sessions:
        [ticket] = site.upload("a.mp4", video.read_bytes()).json()
        assert site.join(file_value(ticket), session).status_code == 200
        assert is_running.wait(60)
    answer = site.upload("late.mp4", b"x")
    assert answer.status_code == 429 and "too many videos are waiting" in answer.text
    may_end.set()
    assert all("<iframe" in site.wait(session)[1] for session in sessions)
    assert site.upload("late.mp4", b"x").status_code == 200


def test_incoming_expired_is_removed(site, uploads, monkeypatch):
    site.upload("a.mp4", b"x")
    [old] = waiting(uploads)
    monkeypatch.setattr("avsf_det.web.incoming._EXPIRY", -1)
    site.upload("a.mp4", b"x")
    assert not old.exists() and len(waiting(uploads)) == 1


def test_incoming_start_removes_what_a_killed_server_left(tmp_path):
    folder = tmp_path / ".incoming"
    folder.mkdir()
    own = unfinished_path(folder / "a")
    left = folder / own.name.replace(f"-{os.getpid()}.", "-99999999.")
    left.touch()
    IncomingFiles(folder, 10)
    assert not left.exists()


def test_incoming_folder_that_is_a_link_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / ".incoming").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="symbolic link"):
        IncomingFiles(tmp_path / ".incoming", 10)
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755


@pytest.mark.parametrize("replacement", ["nothing", "link"])
def test_incoming_take_of_what_is_no_file_refused(tmp_path, replacement):
    from avsf_det.web.incoming import Incoming

    incoming = IncomingFiles(tmp_path / ".incoming", 10)
    path = tmp_path / ".incoming" / "a"
    if replacement == "link":
        path.symlink_to("/etc/passwd")
    incoming._files["ticket"] = Incoming(path, "a.mp4")
    with pytest.raises(UserError, match="upload it again"):
        incoming.take("ticket")
