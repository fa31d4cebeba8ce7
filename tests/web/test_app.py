import html
import http.client
import itertools
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from avsf_det.errors import UserError
from avsf_det.web.guard import Access
from tests.web.conftest import file_value
from tests.web.test_uploads import Reports

gradio_client = pytest.importorskip("gradio_client")


@pytest.fixture
def address(site):
    """Host and port of the server."""
    return site.address


def get(address, path, **headers):
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def upload(address, path):
    client = gradio_client.Client("http://{}:{}".format(*address), verbose=False, analytics_enabled=False)
    return client.predict(gradio_client.handle_file(str(path)), api_name="/detect")


def test_a_video_that_is_uploaded_is_shown_and_can_be_had(address, uploads, video):
    status, player, *_ = upload(address, video)
    [found] = uploads.earlier()
    assert status.startswith("<b>test_0000.mp4</b>: ") and "persons" in status
    assert f'<iframe src="/results/{found.page}"' in player
    assert all(f'href="/results/{url}" download' in player for url in found.files)
    code, page = get(address, f"/results/{found.page}")
    assert code == 200 and b"test_0000" in page
    original = f"/results/{found.page.rpartition('/')[0]}/original/test_0000.mp4"
    assert get(address, original, Range="bytes=10-19") == (206, video.read_bytes()[10:20])  # so that one can seek


def test_what_cannot_be_done_is_said_on_the_page(address, tmp_path):
    (tmp_path / "notes.mp4").write_text("no video")
    status, player, *_ = upload(address, tmp_path / "notes.mp4")
    assert status.startswith("<b>Not done</b>: notes.mp4: ") and "<iframe" not in player


def test_a_name_is_no_markup(address, uploads, video, tmp_path):
    from avsf_det.web.app import Page

    uploads.detect(Path(shutil.copy(video, tmp_path / "<img src=x>&.mp4")), Reports())
    [found] = uploads.earlier()
    assert not any("<img" in shown for shown in Page(uploads, "")._again(found.page))


def test_only_results_are_served(address, uploads):
    (uploads.folder.parent / "secret").write_text("secret")
    up = (
        "../../secret",
        "%2e%2e/secret",
        "..%2f..%2fsecret",
        "%252e%252e/secret",
        "/etc/passwd",
        "%00",
        "%ff",
        "a" * 5000,
    )
    for path in (*(f"/results/{path}" for path in up), "/static/../../routes.py", "/assets/..%2f..%2froutes.py"):
        code, content = get(address, path)
        assert code in (403, 404) and content != b"secret"


def test_an_address_that_is_taken_is_said_at_once(uploads):
    from avsf_det.web.app import serve

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="choose another with --host"):
        serve(uploads, "", "127.0.0.1", taken.getsockname()[1])


MARKUP = ["<img src=x onerror=alert(1)>.mp4", '"]});alert(1)//.mp4', "</script><script>alert(1)</script>.mp4"]


def test_queue_path_of_server_refused_and_not_copied(site, uploads, tmp_path, monkeypatch):
    cache = tmp_path / "gradio"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(cache))
    secret = tmp_path / "secret.mp4"
    secret.write_text("private")
    calls = [call["id"] for call in site.get("/config").json()["dependencies"]]
    for path in (str(secret), "/etc/passwd", "../secret.mp4", f"file://{secret}", "", ".", None, [str(secret)]):
        for fields in ({}, {"is_stream": True}, {"orig_name": "../../a.mp4", "url": "/etc/passwd"}):
            assert site.join(file_value(path, **fields)).status_code == 400
    for call in calls:  # other fields take no file either
        body = {"data": [[{"x": file_value(str(secret))}]], "fn_index": call, "session_hash": "other"}
        assert site.post("/gradio_api/queue/join", json=body).status_code == 400
        assert site.post("/gradio_api/run/predict", json=body).status_code == 400
    assert not any(file.is_file() for file in cache.rglob("*"))
    assert [file.name for file in uploads.folder.rglob("*")] == [".incoming"]


def test_queue_url_refused_and_never_fetched(site):
    with socket.create_server(("127.0.0.1", 0)) as bait:
        address = "http://{}:{}/video.mp4".format(*bait.getsockname())
        for value in (file_value("video.mp4", url=address), file_value(address)):
            assert site.join(value).status_code == 400
        for route in ("file", "proxy"):
            assert site.get(f"/gradio_api/{route}={address}").status_code == 404
        bait.settimeout(0.2)
        with pytest.raises(TimeoutError):
            bait.accept()


def test_queue_value_without_file_processes_nothing(site, uploads):
    for value in ("/etc/passwd", 3, None, {}, {"a": 1}, ["b"]):
        site.join(value)
    assert not any(path.is_file() for path in uploads.folder.rglob("*"))


def test_queue_value_that_is_no_upload_refused_without_traceback(site, capfd):
    for value in ("/etc/passwd", 5, True, [], ["b"], {}, {"url": "http://localhost/a.mp4"}, [{"url": "x"}], {"a": {}}):
        assert site.join(value).status_code == 400, value
    assert capfd.readouterr().err == ""
    assert site.join(None).status_code == 200
    assert site.wait()[0] == "<b>Not done</b>: the uploaded file is no longer there; upload it again"
    assert capfd.readouterr().err.count("\n") == 1


def test_detect_beyond_time_limit_stopped_and_resumed_by_the_next_upload(start, uploads, video, monkeypatch):
    site = start(Access(time_limit=3600))
    clock = itertools.chain([0, 0], itertools.repeat(3601))
    with monkeypatch.context() as late:
        late.setattr("avsf_det.web.app.time", SimpleNamespace(monotonic=lambda: next(clock)))
        status, player = site.detect("a.mp4", video.read_bytes())
    assert status == (
        "<b>Stopped</b>: stopped after 3600 s, the limit of this server; upload the same file again to resume"
    )
    assert "<iframe" not in player and not uploads.earlier()
    assert list(uploads.folder.glob("*/original/a.mp4"))
    assert "<iframe" in site.detect("a.mp4", video.read_bytes())[1]


def test_ticket_used_twice_second_is_refused(site, video):
    [ticket] = site.upload("a.mp4", video.read_bytes()).json()
    assert "/" not in ticket
    site.join(file_value(ticket))
    assert "<iframe" in site.wait()[1]
    assert site.join(file_value(ticket)).status_code == 400


def test_config_and_page_name_no_folder_of_the_server(site, uploads):
    shown = site.get("/config").text + site.get("/").text + site.get("/gradio_api/info").text
    assert str(uploads.folder.parent) not in shown and os.getcwd() not in shown and str(Path.home()) not in shown


def test_detect_crash_shown_without_details_logged_and_next_upload_works(site, video, monkeypatch, capfd):
    for error in (MemoryError(), ValueError("/srv/private/model"), AssertionError("x" * 9000)):
        with monkeypatch.context() as broken:
            broken.setattr("avsf_det.web.uploads.detect_video", Mock(side_effect=error))
            status, player = site.detect("a.mp4", video.read_bytes())
        assert status == "<b>Not done</b>: the server failed on this video; its log says why"
        assert "<iframe" not in player
        log = capfd.readouterr().err
        assert "Traceback" in log and type(error).__name__ in log
    assert "<iframe" in site.detect("a.mp4", video.read_bytes())[1]


def test_upload_name_with_markup_is_text_everywhere(site, uploads, video):
    for name in MARKUP:
        status, player = site.detect(name, video.read_bytes())
        found = uploads.earlier()[0]
        assert found.name == name
        page = site.get(f"/results/{found.page}").text
        for shown in (status, player, page):
            assert "<img" not in shown and "alert(1)</script>" not in shown
        assert status.startswith(f"<b>{html.escape(name)}</b>")
        assert page.count("<script") == 2  # data, and the one that the policy knows by its hash


def test_upload_of_other_type_is_neither_kept_nor_served(site, uploads):
    for name in ("evil.html", "evil.svg", "evil.mp4.html", "evil", "evil.js"):
        status, _ = site.detect(name, b"<script>alert(1)</script>")
        assert status.startswith(f"<b>Not done</b>: {name}: ")
    assert not any(path.is_file() for path in uploads.folder.rglob("*"))


def test_original_is_served_as_attachment_of_a_media_type(site, uploads, video):
    site.detect("a.mp4", video.read_bytes())
    [found] = uploads.earlier()
    folder = found.page.rpartition("/")[0]
    headers = site.get(f"/results/{folder}/original/a.mp4").headers
    assert headers["content-type"] == "video/mp4" and headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"
    assert site.get(f"/results/{folder}/a.csv").headers["content-type"].startswith("text/csv")


def test_results_hidden_and_foreign_files_are_not_served(site, uploads, video, tmp_path):
    site.detect("a.mp4", video.read_bytes())
    folder = next(path for path in uploads.folder.iterdir() if not path.name.startswith("."))
    secret = tmp_path / "secret.csv"
    secret.write_text("private")
    (folder / "link.csv").symlink_to(secret)
    (folder / "notes.txt").write_text("private")
    (uploads.folder / "linked").symlink_to(folder)
    (uploads.folder / "other").mkdir()
    (uploads.folder / "other" / "b.csv").write_text("private")
    (uploads.folder / "c.csv").write_text("private")
    hidden = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "/." in str(path)]
    assert len(hidden) > 1
    inside = [f"{folder.name}/{path}" for path in ("link.csv", "notes.txt", "original", "", *hidden)]
    for path in (*inside, "linked/a.csv", "other/b.csv", "c.csv", "", "."):
        assert site.get(f"/results/{path}").status_code == 404, path
    assert site.get(f"/results/{folder.name}/a.csv").status_code == 200


def test_same_file_by_two_people_at_once_both_see_it(site, video):
    with ThreadPoolExecutor(3) as people:
        jobs = [people.submit(site.detect, "a.mp4", video.read_bytes(), f"person{n}") for n in range(3)]
        shown = [job.result() for job in jobs]
    assert len(set(shown)) == 1 and "<iframe" in shown[0][1]


def test_page_when_the_server_ends_removes_waiting_uploads(site, uploads):
    site.upload("a.mp4", b"x")
    [path] = (uploads.folder / ".incoming").iterdir()
    site.end()
    assert not path.exists()


def test_results_answer_head_and_ranges(site, uploads, video):
    site.detect("a.mp4", video.read_bytes())
    url = f"/results/{uploads.earlier()[0].page}"
    assert site.head(url).headers["content-length"] == str(len(site.get(url).content))
    assert site.get(url, headers={"Range": "bytes=0-3"}).status_code == 206


def test_serve_beyond_this_machine_without_auth_warns(uploads, capsys, monkeypatch):
    from avsf_det.web.app import serve

    monkeypatch.setattr("avsf_det.web.app.uvicorn.Server.run", lambda *_, **__: None)
    monkeypatch.setattr("avsf_det.web.app.os.umask", lambda _: 0)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    for host, auth, warned in (("0.0.0.0", None, 1), ("0.0.0.0", "a:b", 0), ("127.0.0.1", None, 0)):
        serve(uploads, "", host, 0, Access(host, auth=auth))
        assert capsys.readouterr().err.count("warning: without --auth") == warned
