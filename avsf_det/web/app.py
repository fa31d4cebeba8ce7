"""The page: a place to drop a video, its progress, its player, and everything to download.

Gradio queues uploads and shows the page. What comes in and goes out is ours: `guard` checks every request, `incoming`
receives files, and results are served from here. Nothing is requested from any other server.
"""

from __future__ import annotations

import mimetypes
import os
import socket
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from urllib.parse import unquote

import gradio
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from avsf_det.errors import UserError
from avsf_det.structures import VIDEO_SUFFIXES
from avsf_det.web.guard import UPLOAD, Access, Guard
from avsf_det.web.incoming import IncomingFiles
from avsf_det.web.uploads import Found, Uploads

RESULTS = "/results"
"""Where the results of all uploads are served."""
_INCOMING = ".incoming"  # in the folder of all uploads
_TYPES = {".html": "text/html", ".csv": "text/csv", ".jsonl": "application/x-ndjson", ".png": "image/png"}
_MOST_QUEUED = 100
_MOST_SESSIONS = 10_000
_PROGRESS = gradio.Progress()  # as a default it has Gradio hand over the progress of a request
_PATIENCE = 2  # seconds that open connections have when the server ends
_FONT = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
_STYLE = """
#player iframe { width: 100%; height: 800px; box-sizing: border-box; border: 1px solid #e1e5e8; border-radius: 8px }
#player .empty { min-height: 320px; display: grid; place-items: center; color: #5b656d }
.downloads a { margin-right: 14px; overflow-wrap: anywhere }
"""
_AS_TALL = """onload="new ResizeObserver(([page]) => {
  this.style.height = page.target.scrollHeight + 2 + 'px'
}).observe(this.contentDocument.body)\""""
_EMPTY = '<p class="empty">The video, who does what in it, and its sound come here.</p>'


class Stopped(Exception):
    """The user or the server ends the detection on a video; its text says why if it was not the user."""


class Page:
    """What the page does.

    Args:
        uploads: runs detection.
        about: a line about the model.
        access: who may use the page.

    Raises:
        UserError: if no file can be received.
    """

    def __init__(self, uploads: Uploads, about: str, access: Access = Access()) -> None:  # noqa: B008
        self._uploads, self._about, self._access = uploads, about, access
        self._incoming = IncomingFiles(uploads.folder / _INCOMING, access.max_size, self._in_use)
        self._stops: dict[str, threading.Event] = defaultdict(threading.Event)  # of sessions that wait
        self._closing = threading.Event()
        self._page = self._blocks()

    def app(self) -> FastAPI:
        """The page as a web application."""
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=self._lifespan)
        config = self._page.get_config_file()
        kinds = {component["id"]: component["type"] for component in config["components"]}
        inputs = {call["id"]: [kinds[number] for number in call["inputs"]] for call in config["dependencies"]}
        app.add_middleware(Guard, access=self._access, is_upload=self._incoming.__contains__, inputs=inputs)
        app.add_route(f"{RESULTS}/{{url:path}}", self._result)
        app.add_route(UPLOAD, self._incoming.receive, methods=["POST"])
        app.add_route(f"{UPLOAD}_progress", self._incoming.report)
        look = gradio.themes.Default(font=_FONT, font_mono=["ui-monospace", "monospace"])
        limits = {"max_file_size": self._access.max_size, "show_error": False}
        return gradio.mount_gradio_app(
            app, self._page, "/", footer_links=[], theme=look, css=_STYLE, ssr_mode=False, **limits
        )

    def close(self) -> None:
        """End the running detection, which resumes when the video is uploaded again, and remove what is waiting."""
        self._closing.set()
        self._incoming.clear()

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        yield
        self.close()

    def _result(self, request: Request) -> Response:
        """A result or an original. Only pages of ours are shown as pages, whatever a file is named."""
        url = request.path_params["url"]
        path = self._uploads.file(url)
        if path is None:
            return PlainTextResponse("not found", 404)
        kind = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or ""
        if not kind.startswith(("video/", "audio/")) and kind not in _TYPES.values():
            kind = "application/octet-stream"
        shown = "inline" if path.parent.parent == self._uploads.folder else "attachment"
        return FileResponse(path, media_type=kind, filename=path.name, content_disposition_type=shown)

    def _in_use(self) -> set[str]:
        """The tickets of uploads that wait in the queue, or whose detection starts."""
        queue = self._page._queue
        waiting = [event for each in queue.event_queue_per_concurrency_id.values() for event in each.queue]
        starting = [event for job in queue.active_jobs if job for event in job]
        return {_ticket(value) for event in waiting + starting if event.data for value in event.data.data}

    def _blocks(self) -> gradio.Blocks:
        with gradio.Blocks(analytics_enabled=False, title="avsf-det") as blocks:
            gradio.Markdown(f"# avsf-det\nWho does what, where and when, seen *and* heard. {escape(self._about)}")
            with gradio.Row():
                upload = gradio.File(label="Drop a video", file_types=list(VIDEO_SUFFIXES), height=150, scale=3)
                with gradio.Column(scale=2):
                    earlier = gradio.Dropdown(label="Look again at", value=None)
                    stop = gradio.Button("Stop", interactive=False)
            status = gradio.HTML()
            player = gradio.HTML(_EMPTY, elem_id="player")

            def detect(file: object, request: gradio.Request, progress: gradio.Progress = _PROGRESS) -> tuple:
                stopped = self._stops[request.session_hash]
                limit, began = self._access.time_limit, time.monotonic()

                def report(share: float, line: str) -> None:
                    if stopped.is_set() or self._closing.is_set():
                        raise Stopped
                    if time.monotonic() - began > limit:
                        raise Stopped(f"stopped after {limit:.10g} s, the limit of this server; ")
                    progress(share, desc=line)

                try:
                    shown = self._detect(_ticket(file), report)
                except Stopped as reason:
                    shown = _told("Stopped", f"{reason}upload the same file again to resume"), _EMPTY
                finally:
                    self._stops.pop(request.session_hash, None)
                return *shown, None, gradio.Dropdown(self._choices(), value=None), gradio.Button(interactive=False)

            def start(request: gradio.Request) -> tuple:
                while len(self._stops) >= _MOST_SESSIONS:  # those that never sent their upload
                    self._stops.pop(next(iter(self._stops)), None)
                self._stops[request.session_hash].clear()
                return "", _EMPTY, gradio.Button(interactive=True)

            def halt(request: gradio.Request) -> None:
                if stopped := self._stops.get(request.session_hash):
                    stopped.set()

            upload.upload(start, None, [status, player, stop], queue=False, show_progress="hidden").then(
                detect,
                upload,
                [status, player, upload, earlier, stop],
                show_progress_on=player,
                api_name="detect",
                preprocess=False,  # the value is a ticket of `incoming`: Gradio opens and copies nothing
            )
            stop.click(halt, queue=False)
            earlier.input(self._again, earlier, [status, player], show_progress="hidden", preprocess=False)
            blocks.load(lambda: gradio.Dropdown(self._choices(), value=None), None, earlier, show_progress="hidden")
            blocks.unload(halt)
        return blocks.queue(max_size=_MOST_QUEUED, api_open=False)

    def _detect(self, ticket: str, report: Callable[[float, str], None]) -> tuple[str, str]:
        """What is shown of an uploaded video: a line, and the player. Details of what failed go to the log."""
        try:
            incoming = self._incoming.take(ticket)
            try:
                words, found = self._uploads.detect(incoming.path, report, incoming.name)
            finally:
                incoming.path.unlink(missing_ok=True)
            return _told(found.name, words), _player(found)
        except UserError as error:
            print(f"avsf-det serve: {error.__cause__ or error}", file=sys.stderr, flush=True)
            return _told("Not done", str(error)), _EMPTY
        except Stopped:
            raise
        except Exception:
            traceback.print_exc()
            return _told("Not done", "the server failed on this video; its log says why"), _EMPTY

    def _choices(self) -> list[tuple[str, str]]:
        return [(found.name, found.page) for found in self._uploads.earlier()]

    def _again(self, page: object) -> tuple[str, str]:
        found = next((found for found in self._uploads.earlier() if found.page == page), None)
        return (_told(found.name), _player(found)) if found else (_told("It is no longer there"), _EMPTY)


def _ticket(file: object) -> str:
    """The ticket in a value of the file field; "" if it holds none."""
    path = file.get("path") if isinstance(file, dict) else None
    return Path(path).name if isinstance(path, str) else ""


def _told(what: str, more: str = "") -> str:
    return f"<b>{escape(what)}</b>" + (f": {escape(more)}" if more else "")


def _player(found: Found) -> str:
    links = (f'<a href="{RESULTS}/{url}" download>{escape(unquote(url).rpartition("/")[2])}</a>' for url in found.files)
    downloads = f'<p class="downloads">{" ".join(links)}</p>'
    return f'{downloads}<iframe src="{RESULTS}/{found.page}" title="player" allow="fullscreen" {_AS_TALL}></iframe>'


def serve(uploads: Uploads, about: str, host: str, port: int, access: Access | None = None) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        uploads: runs detection.
        about: a line about the model.
        host: address to listen on; 127.0.0.1 is for this machine only.
        port: 0 takes any that is free.
        access: who may use the page; None is whoever reaches `host`.

    Raises:
        UserError: if the address is not available.
    """
    access = access or Access(host)
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host}:{port} ({error}); choose another with --host and --port") from None
    if not (access.is_local or access.auth):
        print(
            "warning: without --auth, whoever reaches this address can upload videos and see all results",
            file=sys.stderr,
        )
    os.umask(0o077)  # uploads and results are for this user alone
    name = f"[{host}]" if ":" in host else host
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder / _INCOMING)
    page = Page(uploads, about, access)
    config = uvicorn.Config(page.app(), log_level="critical", server_header=False, timeout_graceful_shutdown=_PATIENCE)
    print(f"http://{name}:{listening.getsockname()[1]}  (Ctrl-C ends it)", flush=True)
    uvicorn.Server(config).run(sockets=[listening])
