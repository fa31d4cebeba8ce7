"""The one exception that a user may see, and how it is worded."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend.

    The message is one line that says what went wrong and where, what was got, what was expected and what to do
    next. `avsf-det` prints it without a traceback and exits with status 2.
    """
