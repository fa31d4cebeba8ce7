"""The command `avsf-det serve`."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from avsf_det.commands.arguments import add_command, seconds, whole
from avsf_det.commands.detect import OUTPUTS, add_how, prepare
from avsf_det.errors import UserError

AUTH = "AVSF_SERVE_AUTH"
"""Environment variable with USER:PASSWORD."""


def serve(options: argparse.Namespace) -> int:
    """Serve a page to drop videos on: watch the progress, look at the result, download it.

    Videos are processed one after the other. Each gets a folder under --output with the original and all results; the
    same video dropped again is shown at once, or resumes where it was stopped. Everyone who reaches the address, and
    has the password of --auth if there is one, may use the page and see all results.
    """
    try:
        from avsf_det.web.app import serve
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed, which the page needs; pip install 'avsf-det[serve]'") from None
    from avsf_det.web.guard import Access
    from avsf_det.web.uploads import Uploads

    access = Access(
        options.host, tuple(options.allowed_host), _auth(options.auth), options.max_size, options.time_limit
    )
    predictor, detector, how = prepare(options)
    listens = "listens" if predictor.listens else "does not listen"
    about = f"{Path(options.weights).name} knows {len(predictor.label_map)} actions and {listens}."
    serve(Uploads(options.output, predictor, detector, how), about, options.host, options.port, access)
    return 0


def _auth(given: str | None) -> str | None:
    """USER:PASSWORD of the option or the environment.

    Raises:
        UserError: if a part is missing.
    """
    auth = given if given is not None else os.environ.get(AUTH)
    if auth is None:
        return None
    user, _, password = auth.partition(":")
    if not user or not password:
        raise UserError(f"--auth, or {AUTH} in the environment: expected USER:PASSWORD, both of at least 1 character")
    return auth


def file_size(text: str) -> int:
    """A number of bytes, of which K, M, G or T stand for 1024 and so on."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([KMGT])(?:i?B)?|B)?", text.strip(), re.IGNORECASE | re.ASCII)
    size = int(float(found[1]) * 1024 ** " KMGT".index((found[2] or " ").upper())) if found else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"expected a size such as 500MB or 2GB, got {text}")
    return size


def add_serve_command(commands: argparse._SubParsersAction) -> None:
    """Add `serve` to the commands of `avsf-det`."""
    command = add_command(commands, "serve", serve)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine's own only)")
    command.add_argument("--port", type=whole(0, 65_535), default=7860, help="0 is any free one (default: 7860)")
    command.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name in the page's address, such as that of a reverse proxy; may be repeated "
        "(default: --host and localhost only, which defeats DNS rebinding)",
    )
    command.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        help=f"require user and password (HTTP Basic: use TLS, or a trusted network); {AUTH} in the environment does "
        "the same and keeps them out of process lists (default: none)",
    )
    command.add_argument(
        "--max-size", type=file_size, default="2GB", metavar="SIZE", help="limit of an upload (default: 2GB)"
    )
    command.add_argument(
        "--time-limit",
        type=seconds,
        default=3600.0,
        metavar="SECONDS",
        help="stop the detection on a video after this time, for others to have their turn; uploaded again, it resumes "
        "(default: 3600)",
    )
    command.add_argument("--output", type=Path, default=Path("served"), help="folder (default: served)")
    command.set_defaults(outputs=OUTPUTS, overwrite=False)
    add_how(command)
