"""The one exception that a user may see, and how it is worded."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend.

    The message is one line that says what went wrong and where, what was got, what was expected and what to do
    next. `avsf-det` prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        # torch hands an error of a worker process on inside that process's traceback: only what it said is kept
        said = message.rpartition(f"{type(self).__module__}.{type(self).__name__}: ")[2].strip()
        super().__init__(" ".join(said.splitlines()))  # what was got, a field of a csv say, may have lines
