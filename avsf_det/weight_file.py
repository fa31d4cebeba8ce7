"""Weight files from elsewhere: torch's zip and legacy formats, and pickles, opened without running what is in them."""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch

from avsf_det.errors import UserError
from avsf_det.unpickle import LEGACY_START, load, load_legacy, read_into
from avsf_det.unpickle_builders import Allowance, Excessive, Refused, Storage

NEXT_STEP = "expected a checkpoint of a format that `avsf-det convert --help` lists"


def read_file(path: str | os.PathLike, next_step: str = NEXT_STEP) -> Any:
    """What a torch file or a pickle holds: containers, numbers, texts, tensors on the CPU, and `unpickle.Array`s.

    Nothing in the file can run code, and memory is bounded by the file's size.

    Args:
        path: the file.
        next_step: what errors say was expected.

    Raises:
        UserError: if the file cannot be read, is neither, is damaged, would run code, or claims more than it holds.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            reason = "Is a directory" if os.path.isdir(path) else "no regular file"
            raise UserError(f"{path}: the checkpoint cannot be read ({reason}); check the path")
        return _open(Path(path))
    except UserError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: the checkpoint cannot be read ({reason}); check the path") from error
    except MemoryError as error:
        raise UserError(f"{path}: claims more than fits into memory; {next_step}") from error
    except Exception as error:  # there are many ways to fail on bytes that are something else
        raise UserError(f"{path}: {_what_is_wrong(error)}; {next_step}") from error


def _open(path: Path) -> Any:
    with open(path, "rb") as file:
        start, size = file.read(len(LEGACY_START)), os.fstat(file.fileno()).st_size
        file.seek(0)
        if start.startswith(b"PK"):
            with zipfile.ZipFile(file) as archive:
                return _load_zip(archive, size)
        if start == LEGACY_START:
            return load_legacy(file, size, Allowance(size))
        return load(file, size, Allowance(size))


def _load_zip(archive: zipfile.ZipFile, size: int) -> Any:
    """The content of a zip by torch.save: data.pkl, and the numbers of each storage in a file of their own."""
    members = archive.infolist()
    claimed = sum(member.file_size for member in members)
    if claimed > size or any(member.compress_type != zipfile.ZIP_STORED for member in members):  # torch stores
        raise Excessive(f"a zip of {claimed} bytes in {size}")
    programs = [member.filename for member in members if re.fullmatch(r"[^/]+/data\.pkl", member.filename)]
    if len(programs) != 1:
        raise ValueError("not a zip by torch.save")
    folder = programs[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.NameToInfo and archive.read(order) != sys.byteorder.encode():
        raise ValueError("numbers in another byte order than this machine's")
    allowance, storages = Allowance(size), {}

    def find_storage(dtype: torch.dtype, key: str, location: str, count: int) -> Storage:
        if (key, dtype) not in storages:
            member = archive.getinfo(f"{folder}data/{key}")
            if not isinstance(dtype, torch.dtype) or count * dtype.itemsize != member.file_size:
                raise ValueError(f"a storage of {count} numbers in {member.file_size} bytes")
            allowance.take(member.file_size)
            numbers = torch.empty(count, dtype=dtype)
            with archive.open(member) as content:
                read_into(content, numbers)
            storages[key, dtype] = Storage(numbers)
        return storages[key, dtype]

    program = archive.read(programs[0])
    return load(io.BytesIO(program), len(program), allowance, find_storage)


def _what_is_wrong(error: Exception) -> str:
    what = re.sub(r"[^\w.,<>'() -]", "?", str(error))[:100]
    if isinstance(error, Excessive):
        return f"holds {what}; not opened"
    if isinstance(error, Refused):
        return f"holds {what}, and opening it could run code"
    if "allocate memory" in what:
        return "claims more than fits into memory"
    return "is damaged or no torch file or pickle"
