"""The parts of HTML files that need nothing else: no network, no script, pictures within."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #22282d; margin: 0; background: #f4f6f7 }
main { max-width: 1080px; margin: 0 auto; padding: 24px 28px 60px; background: #fff }
h1 { font-size: 25px; margin: 6px 0 2px }
h2 { font-size: 19px; margin: 38px 0 8px }
p { max-width: 76ch; margin: 6px 0 }
.files { color: #5b656d; overflow-wrap: anywhere }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 }
.tile { background: #f4f6f7; border-radius: 8px; padding: 10px 18px }
.tile b { display: block; font-size: 23px; font-variant-numeric: tabular-nums }
.tile span { color: #5b656d; font-size: 13px }
.warning { background: #fff4e0; border-left: 4px solid #d9822b; padding: 7px 12px; margin: 6px 0 }
.error { background: #fdebea; border-left: 4px solid #c9372c; padding: 7px 12px; margin: 6px 0 }
.warning, .error { overflow-wrap: anywhere }
details { font-size: 13px; margin-top: 4px }
table { border-collapse: collapse; margin: 10px 0; font-variant-numeric: tabular-nums; font-size: 14px }
th, td { padding: 3px 12px 3px 0; text-align: right; border-bottom: 1px solid #e6e9ec }
th { color: #5b656d; font-weight: 600; vertical-align: bottom }
td:first-child, th:first-child { text-align: left; overflow-wrap: anywhere; max-width: 360px }
td.text { text-align: left; color: #5b656d }
.row { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start }
img { max-width: 100%; height: auto }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(title: str, body: Iterable[str]) -> str:
    """A whole page; `body` is of parts that are HTML already."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body><main>\n" + "\n".join(body) + "\n</main></body></html>\n"
    )


def tiles(tiles: Iterable[tuple[str, str]]) -> str:
    """Names and values, the values set large."""
    inner = "".join(f"<div class=tile><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in tiles)
    return f"<div class=tiles>{inner}</div>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[str] | None = None) -> str:
    """A table of texts; `last` are cells that are HTML already, one a row."""
    lines = ["<table><tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>"]
    for i, row in enumerate(rows):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{cells}{last[i] if last else ''}</tr>")
    return "\n".join(lines) + "</table>"


def row(*parts: str) -> str:
    """Parts side by side."""
    return f"<div class=row>{''.join(parts)}</div>"


def picture(data: bytes, what: str, kind: str = "svg+xml") -> str:
    """A picture, of `kind` svg+xml, jpeg or png, and what it shows in words."""
    text = base64.b64encode(data).decode()
    return f'<img alt="{escape(what)}" title="{escape(what)}" src="data:image/{kind};base64,{text}">'
