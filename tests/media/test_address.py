import http.server
import threading

import pytest

from avsf_det.errors import UserError
from avsf_det.media.address import is_stream, open_address, stream_name, without_password


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://user:pa%2Fss@cam.local:554/front/door?token=1", "cam.local_front_door"),
        ("http://[::1]:80/live/film.m3u8", "1_live_film"),
        ("HTTPS://example.org", "example.org"),
        ("/dev/video0", "video0"),
        ("folder/my film.mkv", "my_film"),
        ("https://example.org/../../etc/passwd", "example.org_.._.._etc_passwd"),
    ],
)
def test_streams_have_names_that_are_files_and_tell_no_secret(address, name):
    assert stream_name(address) == name


def test_addresses_and_devices_are_streams_and_files_are_not(tmp_path):
    assert is_stream("rtsp://camera/1") and is_stream("https://example.org/live") and is_stream("/dev/null")
    assert not any(map(is_stream, ("film.mp4", str(tmp_path), "file:///etc/passwd", "ftp://x/y", "http.mp4")))


def test_passwords_are_not_shown():
    assert without_password("rtsp://user:secret@cam:554/1?key=secret") == "rtsp://cam:554/1"
    assert without_password("a@b?.mp4") == "a@b?.mp4"


@pytest.mark.parametrize(("status", "said"), [(401, "give the right user and password"), (404, "check what follows")])
def test_what_a_server_refuses_comes_with_what_to_do(status, said):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(UserError, match=rf"/1: cannot be opened \(.*{status}.*\); .*{said}"):
            open_address(f"http://me:wrong@127.0.0.1:{server.server_port}/1", silence=10)
        server.shutdown()
