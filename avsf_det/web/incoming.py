"""Files that are being uploaded: private on disk, and known to the page by random tickets, never by a path."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from avsf_det.errors import UserError
from avsf_det.files import remove_leftovers, unfinished_path

_SPARE = 64 << 20  # bytes of the disk that uploads leave free
_MOST_WAITING = 64  # files that were uploaded and not yet processed; the oldest unused one makes room
_EXPIRY = 24 * 3600  # seconds after which a file that nobody processed is removed
_PROGRESS_KEPT = 256  # uploads whose progress can be queried


@dataclass(frozen=True)
class Incoming:
    """A file that was uploaded.

    Attributes:
        path: where it is.
        name: of the file as it was uploaded; anything at all.
        time: when it was complete, in seconds of `time.monotonic`.
    """

    path: Path
    name: str
    time: float = field(default_factory=time.monotonic)


@dataclass
class _Progress:
    name: str = ""
    unreported: int = 0  # bytes
    is_done: bool = False


class IncomingFiles:
    """Receives uploads.

    Args:
        folder: of the files; it is made private, and cleared of what killed servers left.
        max_size: limit of a file, in bytes.
        in_use: the tickets of files that wait in the queue; they are never removed to make room.

    Raises:
        UserError: if the folder cannot be made.
    """

    def __init__(self, folder: Path, max_size: int, in_use: Callable[[], Container[str]] = frozenset) -> None:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.is_symlink():
                raise OSError(0, "it is a symbolic link")
            folder.chmod(0o700)
        except OSError as error:
            raise UserError(f"cannot use {folder} ({error.strerror}); choose another folder with --output") from None
        remove_leftovers(folder)
        self._folder, self._max_size, self._in_use = folder, max_size, in_use
        self._files: dict[str, Incoming] = {}
        self._progress: dict[str, _Progress] = {}

    def __contains__(self, ticket: object) -> bool:
        return isinstance(ticket, str) and ticket in self._files

    def take(self, ticket: str) -> Incoming:
        """The file that a ticket stands for; the ticket is used up, and the caller removes the file.

        Raises:
            UserError: if there is none.
        """
        found = self._files.pop(ticket, None)
        if found is None or not found.path.exists() or not stat.S_ISREG(found.path.lstat().st_mode):
            raise UserError("the uploaded file is no longer there; upload it again")
        return found

    def clear(self) -> None:
        """Remove all files that were not taken."""
        for ticket in list(self._files):
            self._remove(ticket)

    async def receive(self, request: Request) -> Response:
        """Store the one file of a form; the response is a list with its ticket, or a reason in plain text."""
        self._expire()
        if len(self._files) >= _MOST_WAITING and not self._unused():
            return PlainTextResponse("too many videos are waiting; try again later", 429)
        if self._is_full(int(request.headers.get("content-length", 0))):
            return PlainTextResponse("the server has too little disk space for this file", 507)
        ticket = secrets.token_urlsafe(24)
        path, progress = unfinished_path(self._folder / ticket), self._track(request.query_params.get("upload_id"))
        kept = False
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                name = await self._parse(request, file, progress)
            for oldest in self._unused()[: max(0, len(self._files) + 1 - _MOST_WAITING)]:
                self._remove(oldest)
            self._files[ticket], kept = Incoming(path, name), True
            return JSONResponse([ticket])
        except _TooLarge:
            limit = f"{self._max_size / (1 << 20):.4g} MB"
            return PlainTextResponse(f"the file is larger than {limit}, the limit of this server", 413)
        except (FormParserError, ValueError) as error:
            return PlainTextResponse(f"not an upload of one file: {error}", 400)
        except OSError as error:
            print(f"avsf-det serve: cannot store an upload: {error}", file=sys.stderr, flush=True)
            return PlainTextResponse(f"the server cannot store the file ({error.strerror})", 507)
        except ClientDisconnect:
            return PlainTextResponse("the upload was interrupted", 400)
        finally:
            progress.is_done = True
            if not kept:
                path.unlink(missing_ok=True)

    async def report(self, request: Request) -> Response:
        """The progress of an upload as server-sent events, in the form that the page of Gradio expects."""
        upload_id = request.query_params.get("upload_id", "")
        for _ in range(30):
            if upload_id in self._progress:
                return StreamingResponse(_events(self._progress[upload_id]), media_type="text/event-stream")
            await asyncio.sleep(0.1)
        return PlainTextResponse("unknown upload", 404)

    async def _parse(self, request: Request, file: BinaryIO, progress: _Progress) -> str:
        _, options = parse_options_header(request.headers.get("content-type", ""))
        if b"boundary" not in options:
            raise ValueError("expected multipart/form-data")
        form = _Form(file, self._max_size)
        parser = MultipartParser(options[b"boundary"], form.callbacks())
        async for chunk in request.stream():
            await run_in_threadpool(parser.write, chunk)
            progress.name, progress.unreported = form.name or "", progress.unreported + len(chunk)
            if self._is_full(0):
                raise OSError(28, "No space left on device")
        parser.finalize()
        if form.name is None or not form.is_complete:
            raise ValueError("no file, or not all of it")
        return form.name

    def _is_full(self, needed: int) -> bool:
        return shutil.disk_usage(self._folder).free - needed < _SPARE

    def _track(self, upload_id: str | None) -> _Progress:
        progress = _Progress()
        if upload_id:
            while len(self._progress) >= _PROGRESS_KEPT:
                del self._progress[next(iter(self._progress))]
            self._progress[upload_id[:64]] = progress
        return progress

    def _expire(self) -> None:
        for ticket, incoming in list(self._files.items()):
            if time.monotonic() - incoming.time > _EXPIRY:
                self._remove(ticket)

    def _unused(self) -> list[str]:
        """The tickets of files that nobody processes, the oldest first."""
        in_use = self._in_use()
        return [ticket for ticket in list(self._files) if ticket not in in_use]

    def _remove(self, ticket: str) -> None:
        """Remove a file, unless it was taken meanwhile."""
        if found := self._files.pop(ticket, None):
            found.path.unlink(missing_ok=True)


class _TooLarge(Exception):
    """A file is larger than allowed."""


class _Form:
    """Callbacks of the multipart parser, which write the one file of a form."""

    def __init__(self, file: BinaryIO, max_size: int) -> None:
        self._file, self._left = file, max_size
        self._field, self._value, self._disposition, self._is_file = b"", b"", b"", False
        self.name: str | None = None
        self.is_complete = False

    def callbacks(self) -> dict[str, object]:
        return {name: getattr(self, f"_{name}") for name in _CALLBACKS}

    def _on_part_begin(self) -> None:
        self._field, self._value, self._disposition = b"", b"", b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"filename")
        self._is_file = name is not None
        if self._is_file and self.name is not None:
            raise ValueError("expected one file, got more")
        if self._is_file:  # browsers escape three characters of a name
            text = name.decode("utf-8", "replace")
            self.name = text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._left -= end - start
            if self._left < 0:
                raise _TooLarge
            self._file.write(data[start:end])

    def _on_end(self) -> None:
        self.is_complete = True


_CALLBACKS = (
    "on_part_begin",
    "on_header_field",
    "on_header_value",
    "on_header_end",
    "on_headers_finished",
    "on_part_data",
    "on_end",
)


async def _events(progress: _Progress) -> AsyncIterator[str]:
    while not progress.is_done:
        size, progress.unreported = progress.unreported, 0
        if size:
            message = {"msg": "update", "orig_name": progress.name, "chunk_size": size}
            yield f"data: {json.dumps(message)}\n\n"
        await asyncio.sleep(0.1)
    yield f"data: {json.dumps({'msg': 'done'})}\n\n"
