"""The address of a stream: whether an input is one, what its results are called, and opening it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import av

from avsf_det.errors import UserError

# What FFmpeg may open on behalf of an address; never a file of this machine.
_PROTOCOLS = {
    "http": "http,https,httpproxy,tls,tcp,crypto",
    "https": "http,https,httpproxy,tls,tcp,crypto",
    "rtsp": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto",
    "rtsps": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto",
}
_CURE = "check the address, and that a video player shows it"
_CURES = {
    av.error.HTTPUnauthorizedError: "give the right user and password, as in rtsp://USER:PASSWORD@camera.local/1",
    av.error.HTTPNotFoundError: "the server is there: check what follows its name in the address",
}


def is_stream(address: str) -> bool:
    """Whether an input is an address (http, https, rtsp, rtsps) or a camera such as /dev/video0, and no file."""
    return scheme_of(address) in _PROTOCOLS or Path(address).is_char_device()


def stream_name(address: str) -> str:
    """A name for the results of a stream: of letters, digits, dot, - and _, and without the password of an address."""
    if scheme_of(address) in _PROTOCOLS:
        parts = urlsplit(address)
        path = re.sub(r"\.\w{1,5}$", "", parts.path)
        address = f"{parts.hostname or 'stream'}{path}"
    else:
        address = Path(address).stem
    return re.sub(r"[^\w.-]+", "_", address, flags=re.ASCII).strip("_.") or "stream"


def without_password(address: str) -> str:
    """The address as people are shown it: without user, password, and what follows a question mark."""
    if scheme_of(address) not in _PROTOCOLS:
        return address
    return re.sub(r"(?<=://)[^/?#]*@", "", address).partition("?")[0]


def scheme_of(address: str) -> str:
    """What stands before ://, in small letters; "" of a path."""
    return address.partition("://")[0].lower() if "://" in address else ""


def open_address(address: str, silence: float) -> av.container.InputContainer:
    """Open a URL, a device, or a file, which is read on as it grows.

    Args:
        address: which.
        silence: seconds that it may take, as may later each piece of it.

    Raises:
        UserError: if it cannot be opened.
    """
    name = without_password(address)
    scheme, path = scheme_of(address), Path(address)
    if scheme in _PROTOCOLS:
        options = {"protocol_whitelist": _PROTOCOLS[scheme]}
        if scheme.startswith("rtsp"):
            options["rtsp_flags"] = "prefer_tcp"
        how = {"file": address, "options": options}
    elif path.is_char_device():
        how = {"file": address, "format": "v4l2"}
    else:
        if not path.is_file():
            raise UserError(f"{name}: no such file; check the path")
        options = {"follow": "1", "seekable": "0", "protocol_whitelist": "file"}
        how = {"file": f"file:{address}", "options": options}
    try:
        return av.open(**how, timeout=(silence, silence))
    except (av.error.FFmpegError, OSError) as error:
        reason = f"nothing came for {silence:g} s" if isinstance(error, av.error.ExitError) else error.strerror
        cure = next((cure for kind, cure in _CURES.items() if isinstance(error, kind)), _CURE)
        raise UserError(f"{name}: cannot be opened ({reason}); {cure}") from None
