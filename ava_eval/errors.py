"""The one exception that a user of the evaluator may see."""

from __future__ import annotations


class InputError(ValueError):
    """An input that cannot be evaluated.

    The message is one line: the place (file:line), what is wrong, what was got and what was expected. `ava-eval`
    prints it without a traceback and exits with status 2.
    """
