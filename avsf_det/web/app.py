"""The page: a place to drop a video, its progress, its player, and everything to download.

It is Gradio's, which queues uploads; results are served as the files that they are, by their own addresses. Nothing is
asked of any other server.
"""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from html import escape
from pathlib import Path
from urllib.parse import unquote

import gradio
import uvicorn
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from avsf_det.errors import UserError
from avsf_det.structures import VIDEO_SUFFIXES
from avsf_det.web.uploads import Found, Uploads

RESULTS = "/results"
"""Where the folder of all uploads is served."""
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
    """Whoever uploaded a video wants it no longer."""


class Page:
    """What the page does.

    Args:
        uploads: detects.
        about: a line about the model.
    """

    def __init__(self, uploads: Uploads, about: str) -> None:
        self._uploads, self._about = uploads, about
        self._stops: dict[str, threading.Event] = defaultdict(threading.Event)  # of sessions that wait
        self._closing = threading.Event()

    def app(self) -> FastAPI:
        """The page as a web application."""
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.mount(RESULTS, StaticFiles(directory=self._uploads.folder))
        look = gradio.themes.Default(font=_FONT, font_mono=["ui-monospace", "monospace"])
        return gradio.mount_gradio_app(
            app, self._blocks(), "/", footer_links=[], theme=look, css=_STYLE, ssr_mode=False
        )

    def close(self) -> None:
        """End what is being detected; it goes on when it is uploaded again."""
        self._closing.set()

    def _blocks(self) -> gradio.Blocks:
        with gradio.Blocks(analytics_enabled=False, title="avsf-det", delete_cache=(3600, 3600)) as blocks:
            gradio.Markdown(f"# avsf-det\nWho does what, where and when, seen *and* heard. {self._about}")
            with gradio.Row():
                upload = gradio.File(label="Drop a video", file_types=list(VIDEO_SUFFIXES), height=150, scale=3)
                with gradio.Column(scale=2):
                    earlier = gradio.Dropdown(label="Look again at", value=None)
                    stop = gradio.Button("Stop", interactive=False)
            status = gradio.HTML()
            player = gradio.HTML(_EMPTY, elem_id="player")

            def detect(path: str, request: gradio.Request, progress: gradio.Progress = gradio.Progress()) -> tuple:  # noqa: B008
                stopped = self._stops[request.session_hash]

                def report(share: float, line: str) -> None:
                    if stopped.is_set() or self._closing.is_set():
                        raise Stopped
                    progress(share, desc=line)

                try:
                    words, found = self._uploads.detect(Path(path), report)
                    shown = _told(found.name, words), _player(found)
                except UserError as error:
                    shown = _told("Not done", str(error)), _EMPTY
                except Stopped:
                    shown = _told("Stopped", "upload the same file again, and it goes on"), _EMPTY
                finally:
                    self._stops.pop(request.session_hash, None)
                return *shown, None, gradio.Dropdown(self._choices(), value=None), gradio.Button(interactive=False)

            def start(request: gradio.Request) -> tuple:
                self._stops[request.session_hash].clear()
                return "", _EMPTY, gradio.Button(interactive=True)

            def halt(request: gradio.Request) -> None:
                if stopped := self._stops.get(request.session_hash):
                    stopped.set()

            upload.upload(start, None, [status, player, stop], queue=False, show_progress="hidden").then(
                detect, upload, [status, player, upload, earlier, stop], show_progress_on=player, api_name="detect"
            )
            stop.click(halt, queue=False)
            earlier.input(self._again, earlier, [status, player], show_progress="hidden")
            blocks.load(lambda: gradio.Dropdown(self._choices(), value=None), None, earlier, show_progress="hidden")
            blocks.unload(halt)
        return blocks

    def _choices(self) -> list[tuple[str, str]]:
        return [(found.name, found.page) for found in self._uploads.earlier()]

    def _again(self, page: str) -> tuple[str, str]:
        found = next((found for found in self._uploads.earlier() if found.page == page), None)
        return (_told(found.name), _player(found)) if found else (_told("It is no longer there"), _EMPTY)


def _told(what: str, more: str = "") -> str:
    return f"<b>{escape(what)}</b>" + (f": {escape(more)}" if more else "")


def _player(found: Found) -> str:
    links = (f'<a href="{RESULTS}/{url}" download>{escape(unquote(url).rpartition("/")[2])}</a>' for url in found.files)
    downloads = f'<p class="downloads">{" ".join(links)}</p>'
    return f'{downloads}<iframe src="{RESULTS}/{found.page}" title="player" allow="fullscreen" {_AS_TALL}></iframe>'


def serve(uploads: Uploads, about: str, host: str, port: int) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        uploads: detects.
        about: a line about the model.
        host: address to listen on; 127.0.0.1 is for this machine only.
        port: 0 takes any that is free.

    Raises:
        UserError: if the address cannot be had.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host}:{port} ({error}); choose another with --host and --port") from None
    page = Page(uploads, about)
    config = uvicorn.Config(page.app(), log_level="critical", timeout_graceful_shutdown=_PATIENCE)
    name = f"[{host}]" if ":" in host else host
    print(f"http://{name}:{listening.getsockname()[1]}  (Ctrl-C ends it)", flush=True)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        page.close()
