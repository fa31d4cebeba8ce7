"""Who may request what: checks that every request passes before the page, and headers that every response gets."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD = "/gradio_api/upload"
MAX_SIZE = 2 << 30
"""Default limit of an uploaded file, in bytes."""
TIME_LIMIT = 3600.0
"""Default limit of the time that one video is processed, in seconds."""
_FORM = 1 << 16  # bytes that the form around an uploaded file may take
_MAX_JSON = 1 << 20  # bytes of any other request
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})
_JSON_FIELDS = ("data", "fn_index", "session_hash", "event_data", "trigger_id")  # that the page sends
_SESSION = re.compile(r"[\w-]{1,64}", re.ASCII)
_JSON_POSTS = frozenset({"/gradio_api/queue/join", "/gradio_api/run/predict"})
_GETS = re.compile(
    r"/(config/?|theme\.css|favicon\.ico|robots\.txt|manifest\.json|((assets|static|svelte|results)/.+)?"
    r"|gradio_api/(info/?|startup-events|queue/data|upload_progress|heartbeat/\w+))"
)  # of Gradio's routes those that the page needs; others serve files, act as a proxy or take recordings
_UNKNOWN_HOST = (
    "unknown host name; open the address that `avsf-det serve` printed, or start it with --allowed-host NAME to allow "
    "the name in this address"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
}


@dataclass(frozen=True)
class Access:
    """Who may use the server, and how much of it.

    Attributes:
        host: address that the server listens on.
        allowed_hosts: further names that it is reached by.
        auth: "USER:PASSWORD" that every request must carry (HTTP Basic), or None.
        max_size: limit of an uploaded file, in bytes.
        time_limit: limit of the time that one video is processed, in seconds.
    """

    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    auth: str | None = None
    max_size: int = MAX_SIZE
    time_limit: float = TIME_LIMIT

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        name = _bare(self.host)
        return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)

    def allows_host(self, authority: str) -> bool:
        """Whether a `Host` header names this server; others come from DNS rebinding.

        Listening on all addresses, any literal address is accepted: a rebound request carries a name.
        """
        name = _host_name(authority)
        if not name:
            return False
        known = _LOOPBACK | {_bare(self.host)} | set(map(_bare, self.allowed_hosts))
        return name in known - _WILDCARDS or (_bare(self.host) in _WILDCARDS and _is_address(name))

    def allows_origin(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from the page itself or from a program, rather than from another website."""
        origin = headers.get("origin")
        if origin is None:
            origin = headers.get("referer")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        try:
            parts = urlsplit(origin)
            source, port = _bare(parts.hostname or ""), parts.port
            target = urlsplit(f"//{headers.get('host', '')}")
            target_name, target_port = _bare(target.hostname or ""), target.port
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not source:
            return False
        if source in map(_bare, self.allowed_hosts):
            return True  # a reverse proxy may listen on another port
        default = 443 if parts.scheme == "https" else 80
        return (source, port or default) == (target_name, target_port or default)

    def allows_credentials(self, header: str) -> bool:
        """Whether an `Authorization` header carries the user and password."""
        if self.auth is None:
            return True
        scheme, _, token = header.partition(" ")
        try:
            given = base64.b64decode(token.strip(), validate=True)
        except (binascii.Error, ValueError):
            given = b""
        matches = hmac.compare_digest(given, self.auth.encode("utf-8", "surrogateescape"))
        return matches and scheme.lower() == "basic"


class Guard:
    """ASGI middleware: refuses what is not from this page's users, not of its routes, or too large.

    Args:
        app: what is guarded.
        access: who may use it.
        is_upload: whether a text is the ticket of a file that was uploaded through the page.
        inputs: kinds of the inputs of each function of the page ("file", "dropdown" ...), by its `fn_index`.
    """

    def __init__(
        self, app: ASGIApp, access: Access, is_upload: Callable[[object], bool], inputs: Mapping[int, Sequence[str]]
    ) -> None:
        self._app, self._access, self._is_upload, self._inputs = app, access, is_upload, inputs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page uses no WebSockets
            await send({"type": "websocket.close", "code": 1008})
            return
        body = _LimitedBody(receive, self._limit(scope))

        async def guarded_send(message: Message) -> None:
            if body.is_too_large:
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if scope["path"] in ("/", "/config", "/config/"):
            scope["query_string"] = b""  # what the page takes from it, it reads by itself; Gradio would open files
        if refusal is None and scope["path"] in _JSON_POSTS and scope["method"] == "POST":
            refusal = await self._check_json(scope, body)
        if refusal is None:
            try:
                await self._app(scope, body, guarded_send)
            except Exception:
                if not body.is_too_large:
                    raise
            if not body.is_too_large:
                return
        if body.is_too_large:
            refusal, body.is_too_large = _too_large(body.limit), False
        await refusal(scope, receive, guarded_send)

    def _limit(self, scope: Scope) -> int:
        return self._access.max_size + _FORM if scope["path"] == UPLOAD else _MAX_JSON

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is refused before its body is read; None if it is not."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        hosts = [*headers.getlist("host"), *headers.getlist("x-forwarded-host")]
        if len(headers.getlist("host")) != 1 or not all(map(self._access.allows_host, hosts)):
            return PlainTextResponse(_UNKNOWN_HOST, 400)
        if not self._access.allows_credentials(headers.get("authorization", "")):
            wanted = {"WWW-Authenticate": 'Basic realm="avsf-det", charset="UTF-8"'}
            return PlainTextResponse("user and password required", 401, wanted)
        is_safe = method in ("GET", "HEAD")
        if ("origin" in headers or not is_safe) and not self._access.allows_origin(headers):
            return PlainTextResponse("requests from other websites are refused", 403)
        if not (_GETS.fullmatch(path) if is_safe else method == "POST" and path in {UPLOAD, *_JSON_POSTS}):
            return PlainTextResponse("not found", 404)
        length = headers.get("content-length", "0")
        if not re.fullmatch(r"\d{1,15}", length, re.ASCII) or int(length) > self._limit(scope):
            return _too_large(self._limit(scope))
        return None

    async def _check_json(self, scope: Scope, body: _LimitedBody) -> Response | None:
        """Read a JSON request, refuse foreign files, and have the rest of the app read what was checked."""
        content = bytearray()
        while (message := await body())["type"] == "http.request":
            content += message.get("body", b"")
            if not message.get("more_body", False):
                break
        try:
            data = _without_foreign_files(json.loads(bytes(content)), self._is_upload)
            if not self._is_call(data):
                return PlainTextResponse("expected a call of a function of the page with its inputs", 400)
            call = {name: data[name] for name in _JSON_FIELDS if name in data}
            checked = json.dumps(call, allow_nan=False).encode()
        except PermissionError:
            return PlainTextResponse("a file that was not uploaded here", 400)
        except (ValueError, RecursionError):
            return PlainTextResponse("expected JSON", 400)
        body.replay = {"type": "http.request", "body": checked, "more_body": False}
        headers = MutableHeaders(scope=scope)
        headers["content-type"], headers["content-length"] = "application/json", str(len(checked))
        return None

    def _is_call(self, data: object) -> bool:
        """Whether a request's data names a function of the page and has its inputs, files among them as files."""
        if not isinstance(data, dict) or type(data.get("fn_index")) is not int:
            return False
        session = data.get("session_hash")
        if not isinstance(session, str) or not _SESSION.fullmatch(session):
            return False
        inputs, kinds = data.get("data"), self._inputs.get(data["fn_index"])
        if kinds is None or not isinstance(inputs, list) or len(inputs) != len(kinds):
            return False
        files = [value for value, kind in zip(inputs, kinds) if kind == "file"]
        return all(value is None or (isinstance(value, dict) and "path" in value) for value in files)


class _LimitedBody:
    """A `receive` that ends the request once it holds more than `limit` bytes, whatever its headers said."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._count, self.limit = receive, 0, limit
        self.is_too_large, self.replay = False, None

    async def __call__(self) -> Message:
        if self.replay:
            message, self.replay = self.replay, None
            return message
        message = await self._receive()
        self._count += len(message.get("body", b""))
        self.is_too_large |= self._count > self.limit
        return {"type": "http.disconnect"} if self.is_too_large else message


def _without_foreign_files(value: object, is_upload: Callable[[object], bool]) -> object:
    """A request's data, in which files are tickets alone: no URL to fetch, no stream, no path on the server.

    Raises:
        PermissionError: if a file was not uploaded.
    """
    if isinstance(value, list):
        return [_without_foreign_files(item, is_upload) for item in value]
    if not isinstance(value, dict):
        return value
    if "path" in value or "meta" in value:
        if not is_upload(value.get("path")):
            raise PermissionError
        return {"path": value["path"], "meta": {"_type": "gradio.FileData"}}
    return {key: _without_foreign_files(item, is_upload) for key, item in value.items()}


def _too_large(limit: int) -> Response:
    size = f"{limit / (1 << 20):.0f} MB" if limit >= 1 << 20 else f"{limit} bytes"
    return PlainTextResponse(f"the request is larger than {size}, the limit of this server", 413)


def _host_name(authority: str) -> str:
    """The name in `name:port`, without port and brackets; "" if it is not one."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]/@?#\\:]+)(?::([0-9]{1,5}))?", authority)
    if not found or int(found[2] or 0) > 65_535:
        return ""
    name = _bare(found[1])
    return "" if found[1].startswith("[") and not (":" in name and _is_address(name)) else name


def _bare(host: str) -> str:
    """A host name as it is compared: lower case, without brackets and the dot of the root."""
    return host.strip("[]").rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
