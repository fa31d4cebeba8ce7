"""Uploads that are processed by a tiny model with given boxes, and a server for them."""

import json
import socket
import threading
import time

import httpx
import pytest

from avsf_det.engine.detect import DetectOptions
from avsf_det.engine.persons import open_detector
from avsf_det.engine.predictor import Predictor
from avsf_det.web.uploads import Uploads


class Site(httpx.Client):
    """A client of a running server that can do what the page does.

    Attributes:
        address: (host, port) of the server.
        end: a function that ends the server.
    """

    def __init__(self, address, end):
        super().__init__(base_url="http://{}:{}".format(*address), timeout=60)
        self.address, self.end = address, end

    def upload(self, name, content, **options):
        return self.post("/gradio_api/upload", files={"files": (name, content)}, **options)

    def join(self, value, session="session1", **options):
        """Queue a value of the file field."""
        calls = {call["api_name"]: call["id"] for call in self.get("/config").json()["dependencies"]}
        body = {"data": [value], "fn_index": calls["detect"], "session_hash": session}
        return self.post("/gradio_api/queue/join", json=body, **options)

    def wait(self, session="session1"):
        """What the page shows of the queued value: the line and the player."""
        with self.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as events:
            for line in events.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                if message.get("msg") == "process_completed":
                    return tuple(message["output"]["data"][:2])
        raise AssertionError("the server ended the stream")

    def detect(self, name, content, session="session1"):
        """Upload a file and wait for what the page shows of it."""
        answer = self.upload(name, content)
        assert answer.status_code == 200, answer.text
        assert self.join(file_value(*answer.json()), session).status_code == 200
        return self.wait(session)


def file_value(path, **fields):
    """A value of Gradio's file field."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **fields}


@pytest.fixture(scope="session")
def predictor(weights):
    return Predictor.load(weights)


@pytest.fixture
def uploads(predictor, scenes, tmp_path):
    boxes = open_detector(str(scenes / "annotations" / "test_person_boxes.csv"))
    return Uploads(tmp_path / "served", predictor, boxes, DetectOptions(rate=1.0))


@pytest.fixture
def start(uploads):
    """A function that serves the uploads on a free port, and returns a `Site`."""
    pytest.importorskip("gradio")
    import uvicorn

    from avsf_det.web.app import Page
    from avsf_det.web.guard import Access

    running = []

    def serve(access=None):
        listening = socket.create_server(("127.0.0.1", 0))
        app = Page(uploads, "tiny", access or Access()).app()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)

        def end():
            site.close()
            server.should_exit = True
            thread.join()

        site = Site(listening.getsockname(), end)
        running.append(site)
        return site

    yield serve
    for site in running:
        site.end()


@pytest.fixture
def site(start):
    return start()
