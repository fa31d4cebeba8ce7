"""The one exception that users see, and one-line descriptions of all others."""

from __future__ import annotations

import errno
import unicodedata
from pathlib import Path


def printable(text: str) -> str:
    r"""Text that any file, terminal and page accepts: control characters and bytes that are not UTF-8 as `\x1b`.

    Example:
        >>> printable("take\udcff 1")
        'take\\xff 1'
    """
    return "".join(_escaped(c) if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00  # Python stands for bytes that are not UTF-8 by surrogates from U+DC80 on
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()


class UserError(Exception):
    """Something the user can fix.

    The message is one line that says what went wrong and where, what was got, what was expected and what to do
    next. `avsf-det` prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        # torch hands an error of a worker process on inside that process's traceback: only what it said is kept
        said = message.rpartition(f"{type(self).__module__}.{type(self).__name__}: ")[2].strip()
        super().__init__(printable(" ".join(said.splitlines())))  # what was got, a field of a csv say, may have lines


def describe_error(error: BaseException) -> str:
    """An error in one line; an unexpected one with the line of code that raised it."""
    if isinstance(error, UserError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, means that there is no space left for files."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False
