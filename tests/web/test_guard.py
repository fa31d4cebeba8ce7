import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.web.guard import Access
from tests.web.conftest import file_value

AUTH = "user:pass:wörd"


def basic(credentials, scheme="Basic"):
    return {"Authorization": f"{scheme} {base64.b64encode(credentials.encode()).decode()}"}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "[::1]", "video.lan", "proxy.example"]
)
def test_host_known_with_and_without_port_allowed(host):
    access = Access("video.lan", ("Proxy.Example",))
    assert access.allows_host(host) and access.allows_host(f"{host}:7860")


@pytest.mark.parametrize(
    "host",
    ["", " ", "evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example#localhost", "10.0.0.7",
     "evil.example/localhost", "localhost:x", "2130706433", "0.0.0.0", "localhost\n", "[::1", "a b",
     "127.0.0.1:99999", "localhost:65536", "[::1]:99999", "[127.0.0.1]", "[127.0.0.1]:7860", "[1]", "[:::]", "[.]",
     "localhost:²", "localhost:٣"],
)  # fmt: skip
def test_host_unknown_refused(host):
    assert not Access().allows_host(host)


def test_host_literal_address_allowed_only_when_listening_on_all():
    assert Access("0.0.0.0").allows_host("10.0.0.7:7860") and Access("::").allows_host("[fe80::1]:7860")
    assert not Access("0.0.0.0").allows_host("rebound.example:7860")
    assert Access("10.0.0.7").allows_host("10.0.0.7:7860") and not Access("10.0.0.7").allows_host("10.0.0.8:7860")


@given(st.text(max_size=30))
def test_origin_any_text_only_own_allowed(text):
    allowed = Access().allows_origin({"host": "localhost:7860", "origin": text})
    assert not allowed or text.lower().removeprefix("https://").startswith(("http://localhost:7860", "localhost:7860"))


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": ""}, {"origin": "file://"},
     {"origin": "http://localhost:1"}, {"origin": "http://127.0.0.1:7860"}, {"origin": "http://localhost:7860@evil.example"},
     {"origin": "http://evil.example/localhost:7860"}, {"referer": "http://evil.example/"}, {"referer": "x"},
     {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)  # fmt: skip
def test_origin_of_another_website_refused(headers):
    assert not Access().allows_origin({"host": "localhost:7860", **headers})


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://localhost:7860"}, {"referer": "http://localhost:7860/?a=b"},
     {"sec-fetch-site": "same-origin"},
     {"origin": "https://proxy.example"}, {"origin": "http://localhost:7860", "sec-fetch-site": "same-origin"}],
)  # fmt: skip
def test_origin_of_the_page_or_of_a_program_allowed(headers):
    assert Access(allowed_hosts=("proxy.example",)).allows_origin({"host": "localhost:7860", **headers})


def test_guard_rebound_host_refused_everywhere(site):
    for path in ("/", "/config", "/results/x/y.csv", "/gradio_api/queue/data?session_hash=a"):
        answer = site.get(path, headers={"Host": f"rebound.example:{site.address[1]}"})
        assert answer.status_code == 400 and "--allowed-host" in answer.text
    assert site.get("/config", headers={"X-Forwarded-Host": "evil.example"}).status_code == 400
    assert site.get("/config", headers={"Host": f"localhost:{site.address[1]}"}).status_code == 200


def test_guard_request_of_another_website_changes_nothing(site, uploads, video):
    [ticket] = site.upload("a.mp4", video.read_bytes()).json()
    for origin in ("http://evil.example", "null"):
        headers = {"Origin": origin}
        assert site.upload("b.mp4", b"x", headers=headers).status_code == 403
        assert site.join(file_value(ticket), headers=headers).status_code == 403
        assert site.get("/config", headers=headers).status_code == 403
        preflight = site.options("/gradio_api/upload", headers={**headers, "Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 403 and "access-control-allow-origin" not in preflight.headers
    assert len(list((uploads.folder / ".incoming").iterdir())) == 1


def test_guard_auth_covers_every_route(start, uploads, video):
    site = start(Access(auth=AUTH))
    paths = ("/", "/config", "/assets/x.js", "/results/x/y.csv", "/gradio_api/queue/data", "/nothing")
    wrong = [{}, basic("user:pass"), basic("user:pass:wörd2"), basic(AUTH, "Bearer"), {"Authorization": "Basic !"}]
    for path in paths:
        for headers in wrong:
            answer = site.get(path, headers=headers)
            assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic ")
    assert site.upload("a.mp4", b"x").status_code == 401
    assert site.post("/gradio_api/queue/join", json={}).status_code == 401
    assert not any((uploads.folder / ".incoming").iterdir())
    site.headers.update(basic(AUTH))
    assert "<iframe" in site.detect("a.mp4", video.read_bytes())[1]  # event streams as well


def test_guard_route_that_the_page_does_not_use_is_not_there(site):
    own = (
        "file=/etc/passwd",
        "file/etc/passwd",
        "proxy=http://127.0.0.1/",
        "stream/a/1/1/playlist.m3u8",
        "openapi.json",
    )
    own += ("custom_component/1/client/component/x", "vibe-code", "dev/reload", "runs", "deep_link")
    for path in ("/monitoring", "/docs", "/openapi.json", "/pwa_icon", *(f"/gradio_api/{path}" for path in own)):
        assert site.get(path).status_code == 404, path


def test_guard_post_that_the_page_does_not_use_is_not_there(site):
    paths = ("call/detect", "call/v2/detect", "api/detect", "run/detect", "component_server", "process_recording")
    for path in (*paths, "reset", "cancel", "vibe-edit", "queue/join/"):
        answer = site.post(f"/gradio_api/{path}", json={"data": [file_value("/etc/passwd")]})
        assert answer.status_code == 404, path


def test_guard_every_response_has_security_headers(site):
    for path in ("/", "/config", "/results/x", "/nothing"):
        headers = site.get(path).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_guard_what_is_no_json_is_refused(site):
    for content in (b"", b"{", b"[" * 100_000, b'{"data": [NaN]}', b'{"data": [1e999]}', b"\xff", b"{\x00"):
        assert site.post("/gradio_api/queue/join", content=content).status_code == 400, content[:20]


def test_guard_json_read_in_another_encoding_is_checked_too(site):
    body = json.dumps({"data": [file_value("/etc/passwd")], "fn_index": 1, "session_hash": "a"})
    for content, kind in ((body.encode("utf-16"), "application/json"), (body.encode(), "text/plain")):
        answer = site.post("/gradio_api/queue/join", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 400


def test_guard_large_json_is_refused(site):
    blocks = [b'"', *[b"x" * 65536] * 20, b'"']
    for content in (iter(blocks), b"".join(blocks)):  # chunked, or with its length
        assert site.post("/gradio_api/queue/join", content=content).status_code == 413


@pytest.mark.parametrize(
    "host", ["127.0.0.1:99999", "[127.0.0.1]", "[::1]:65536", "[127.0.0.1]:80", "[:::1]", "localhost:"]
)
def test_guard_malformed_host_with_origin_is_bad_request(start, host):
    site = start(Access("0.0.0.0"))
    for origin in ({}, {"Origin": "http://127.0.0.1"}, {"Referer": "http://[127.0.0.1]/"}):
        assert site.get("/config", headers={"Host": host, **origin}).status_code == 400
        assert site.upload("a.mp4", b"x", headers={"Host": host, **origin}).status_code == 400


@given(st.text(max_size=30), st.text(max_size=30))
def test_access_any_host_and_origin_decided_without_error(host, origin):
    for access in (Access(), Access("0.0.0.0"), Access("::", ("proxy.example",))):
        assert access.allows_origin({"host": host, "origin": origin}) in (True, False)
        assert access.allows_host(host) in (True, False)


@pytest.mark.parametrize(
    "body",
    [[], 3, "x", {}, {"data": []}, {"fn_index": 99}, {"fn_index": -1}, {"fn_index": None}, {"fn_index": True},
     {"fn_index": "0"}, {"fn_index": 0.5}, {"fn_index": []}, {"fn_index": 10**40}, {"data": None}, {"data": {}},
     {"data": "x"}, {"data": []}, {"data": [1, 2]},
     {"session_hash": ""}, {"session_hash": None}, {"session_hash": 5}, {"session_hash": "x" * 65}],
)  # fmt: skip
def test_guard_call_of_no_function_or_with_wrong_inputs_is_bad_request(site, capfd, body):
    calls = {call["api_name"]: call["id"] for call in site.get("/config").json()["dependencies"]}
    good = {"data": [None], "fn_index": calls["detect"], "session_hash": "a"}
    body = {**good, **body} if body and isinstance(body, dict) else body
    for path in ("queue/join", "run/predict"):
        answer = site.post(f"/gradio_api/{path}", json=body)
        assert answer.status_code == 400 and "expected a call" in answer.text
    assert capfd.readouterr().err == ""
