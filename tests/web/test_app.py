import http.client
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from avsf_det.errors import UserError
from tests.web.test_uploads import Reports

gradio_client = pytest.importorskip("gradio_client")


@pytest.fixture
def address(uploads):
    """The page, served on a free port of this machine: (host, port)."""
    import uvicorn

    from avsf_det.web.app import Page

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Page(uploads, "tiny").app(), log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield listening.getsockname()
    server.should_exit = True
    thread.join()


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


@pytest.mark.parametrize(
    "path", ["/results/../../secret", "/results/%2e%2e/secret", "/results//etc/passwd", "/gradio_api/file=/etc/passwd"]
)
def test_only_results_are_served(address, uploads, path):
    (uploads.folder.parent / "secret").write_text("secret")
    code, content = get(address, path)
    assert code in (403, 404) and content != b"secret"


def test_an_address_that_is_taken_is_said_at_once(uploads):
    from avsf_det.web.app import serve

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="choose another with --host"):
        serve(uploads, "", "127.0.0.1", taken.getsockname()[1])
