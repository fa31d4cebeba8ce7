"""The one exception that users see, and one-line descriptions of all others."""

from __future__ import annotations

import errno
from pathlib import Path


class UserError(Exception):
    """Something the user can mend.

    The message is one line that says what went wrong and where, what was got, what was expected and what to do
    next. `avsf-det` prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        # torch hands an error of a worker process on inside that process's traceback: only what it said is kept
        said = message.rpartition(f"{type(self).__module__}.{type(self).__name__}: ")[2].strip()
        super().__init__(" ".join(said.splitlines()))  # what was got, a field of a csv say, may have lines


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
