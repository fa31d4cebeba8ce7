"""The files of an export: one alone, those of a folder, or those of a zip."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.parsers import expat

from avsf_det.errors import UserError

SUFFIXES = (".xml", ".eaf", ".json", ".csv", ".tsv", ".txt", ".mat", ".pkl", ".pickle", ".pbtxt", ".names")
SUFFIXES += (".yaml", ".yml")
MAX_BYTES = 1 << 30  # of a file in a zip, which may claim to be far smaller than it turns out


@dataclass
class Document:
    """A file.

    Attributes:
        name: for messages: its path, and for a file in a zip that of the zip before it.
        path: its path within the export, with `/`.
        content: its bytes.
        frame_rate: what Label Studio's labeling config beside it has for the frame rate; "" for nothing.
    """

    name: str
    path: str
    content: bytes
    frame_rate: str = ""

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return PurePosixPath(self.path).stem

    @property
    def suffix(self) -> str:
        """The file's suffix, in lower case."""
        return PurePosixPath(self.path).suffix.lower()

    @cached_property
    def text(self) -> str:
        """Its text: UTF-8 or UTF-16 with or without a byte order mark, else Windows-1252."""
        encoding = "utf-16" if self.content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            return self.content.decode(encoding)
        except UnicodeDecodeError:
            return self.content.decode("cp1252", "replace")

    @cached_property
    def json(self) -> object:
        """What it holds as JSON, or None if it is none.

        Raises:
            UserError: if it ends in .json and is not JSON.
        """
        if self.suffix != ".json" and self.text.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            if self.suffix != ".json":
                return None
            raise UserError(f"{self.name}: not JSON ({error}); export it again") from None

    @cached_property
    def xml(self) -> ElementTree.Element | None:
        """Its root element, or None if it is no XML.

        Raises:
            UserError: if it ends in .xml and is not XML, or defines entities, which could grow without bound.
        """
        if self.suffix != ".xml" and not self.text.lstrip().startswith("<?xml"):
            return None
        try:
            return self._parsed(self.content.lstrip())
        except (ElementTree.ParseError, expat.ExpatError, ValueError, LookupError, RecursionError) as error:
            try:
                return self._parsed(self.text.lstrip().encode())  # of another encoding than it declares
            except (ElementTree.ParseError, expat.ExpatError, ValueError, LookupError, RecursionError):
                raise UserError(f"{self.name}: not XML ({error}); export it again") from None

    def _parsed(self, content: bytes) -> ElementTree.Element:
        parser = expat.ParserCreate()
        parser.EntityDeclHandler = self._refuse_entities  # whatever the encoding
        parser.Parse(content, True)
        return ElementTree.fromstring(content)

    def _refuse_entities(self, *_: object) -> None:
        raise UserError(f"{self.name}: XML that defines entities is not opened; no annotation tool writes them")


def documents_in(export: Path) -> Iterator[Document]:
    """The files of an export that may hold annotations, in the order of their names; empty ones among them.

    Raises:
        UserError: if it is missing or cannot be read.
    """
    if export.is_dir():
        paths = sorted(p for p in export.rglob("*") if p.is_file() and p.suffix.lower() in (*SUFFIXES, ".zip"))
        for path in paths:
            yield from _of_file(path, path.relative_to(export).as_posix())
    elif export.is_file():
        yield from _of_file(export, export.name)
    else:
        raise UserError(f"{export}: no such file or folder; expected what an annotation tool exported")


def _of_file(path: Path, name: str) -> Iterator[Document]:
    if not zipfile.is_zipfile(path):
        if path.suffix.lower() == ".zip":
            raise UserError(f"{path}: not a complete zip file; export or download it again")
        yield Document(str(path), name, path.read_bytes())
        return
    try:
        with zipfile.ZipFile(path) as archive:
            if not archive.infolist():
                raise UserError(f"{path}: the zip file is empty; export it again")
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                if PurePosixPath(member.filename).suffix.lower() not in SUFFIXES or "__MACOSX" in member.filename:
                    continue
                with archive.open(member) as file:
                    content = file.read(MAX_BYTES + 1)
                if len(content) > MAX_BYTES:
                    raise UserError(f"{path}: {member.filename} is larger than {MAX_BYTES >> 20} MiB; unpack it first")
                yield Document(f"{path}:{member.filename}", member.filename, content)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise UserError(f"{path}: a zip that cannot be read ({error}); unpack it, and give its folder") from None
