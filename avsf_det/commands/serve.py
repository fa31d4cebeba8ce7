"""The command `avsf-det serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

from avsf_det.commands.arguments import add_command, whole
from avsf_det.commands.detect import OUTPUTS, add_how, prepare
from avsf_det.errors import UserError


def serve(options: argparse.Namespace) -> int:
    """Serve a page to drop videos on: watch the progress, look at the result, download it.

    Videos are done one after the other. Each gets a folder under --output with the original and all results; the same
    video dropped again is shown at once, or goes on where it was stopped. Whoever reaches the address may use the page
    and see all results: leave --host as it is, or put something in front that asks for a password.
    """
    try:
        from avsf_det.web.app import serve
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed, which the page needs; pip install 'avsf-det[serve]'") from None
    from avsf_det.web.uploads import Uploads

    predictor, detector, how = prepare(options)
    listens = "listens" if predictor.listens else "does not listen"
    about = f"{Path(options.weights).name} knows {len(predictor.label_map)} actions and {listens}."
    serve(Uploads(options.output, predictor, detector, how), about, options.host, options.port)
    return 0


def add_serve_command(commands: argparse._SubParsersAction) -> None:
    """Add `serve` to the commands of `avsf-det`."""
    command = add_command(commands, "serve", serve)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine's own only)")
    command.add_argument("--port", type=whole(0, 65_535), default=7860, help="0 is any free one (default: 7860)")
    command.add_argument("--output", type=Path, default=Path("served"), help="folder (default: served)")
    command.set_defaults(outputs=OUTPUTS, overwrite=False)
    add_how(command)
