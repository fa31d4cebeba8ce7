"""The parts of HTML files that need nothing else: no network, images within, and at most one script of ours."""

from __future__ import annotations

import base64
import hashlib
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
table.sortable th { cursor: pointer }
th[aria-sort=descending]::after { content: " ▾" }
th[aria-sort=ascending]::after { content: " ▴" }
details > summary { cursor: pointer; font-size: 15px; overflow-wrap: anywhere }
details ul { margin: 4px 0; padding-left: 20px; overflow-wrap: anywhere }
figure { margin: 6px 0; width: 220px } figcaption { font-size: 12px; color: #5b656d; overflow-wrap: anywhere }
.wide { overflow-x: auto } table.heat { font-size: 10px } table.heat td { padding: 1px 3px; min-width: 14px }
table.heat th { padding: 1px 4px; text-align: right; white-space: nowrap; max-width: 170px; overflow: hidden }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# sorts a table.sortable by the column whose header is clicked; without it the page has everything all the same
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable"))
  table.querySelectorAll("tr:first-child th").forEach((head, column) => {
    head.tabIndex = 0
    const sort = () => {
      const falling = head.ariaSort !== "descending"
      const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent.trim()
      const number = text => Number.parseFloat(text.replaceAll(",", ""))
      const compare = (a, b) => {
        const [x, y] = [number(a), number(b)]
        if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1
        const order = Number.isNaN(x) ? a.localeCompare(b) : y - x
        return falling ? order : -order
      }
      const rows = [...table.rows].slice(1).sort((a, b) => compare(key(a), key(b)))
      for (const row of rows) row.parentNode.append(row)
      for (const other of table.rows[0].cells) other.ariaSort = null
      head.ariaSort = falling ? "descending" : "ascending"
    }
    head.addEventListener("click", sort)
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort() })
  })
"""
HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()


def page(title: str, body: Iterable[str], *, sorts: bool = False) -> str:
    """A whole page; `body` is of parts that are HTML already. If it `sorts`, its tables may be `sortable`."""
    policy = f"{POLICY}; script-src 'sha256-{HASH}'" if sorts else POLICY
    script = f"<script>{SCRIPT}</script>" if sorts else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body><main>\n" + "\n".join(body) + f"\n</main>{script}</body></html>\n"
    )


def tiles(tiles: Iterable[tuple[str, str]]) -> str:
    """Names and values, the values set large."""
    inner = "".join(f"<div class=tile><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in tiles)
    return f"<div class=tiles>{inner}</div>"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[str] | None = None, *, sortable: bool = False
) -> str:
    """A table of texts; `last` are cells that are HTML already, one per row."""
    lines = [
        f"<table{' class=sortable' if sortable else ''}><tr>"
        + "".join(f"<th>{escape(name)}</th>" for name in header)
        + "</tr>"
    ]
    for i, row in enumerate(rows):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{cells}{last[i] if last else ''}</tr>")
    return "\n".join(lines) + "</table>"


def details(summary: str, *parts: str) -> str:
    """Parts that are folded away under a line of text."""
    return f"<details><summary>{escape(summary)}</summary>{''.join(parts)}</details>"


def heat(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A square table of counts, in shades: rows are predictions, columns the truth, which has its number as header."""
    most = max((max(line, default=0) for line in counts), default=0) or 1
    lines = [
        "<table class=heat><tr><th></th><th>#</th>" + "".join(f"<th>{i + 1}</th>" for i in range(len(names))) + "</tr>"
    ]
    for i, (name, line) in enumerate(zip(names, counts)):
        cells = []
        for other, count in zip(names, line):
            title = f' title="{escape(name)} on {escape(other)}: {count}"' if count else ""
            shade = f' style="background:rgba(176,71,58,{0.08 + 0.92 * (count / most) ** 0.5:.2f})"' if count else ""
            cells.append(f"<td{title}{shade}>{count or ''}</td>")
        lines.append(f"<tr><th>{escape(name)}</th><th>{i + 1}</th>{''.join(cells)}</tr>")
    return "<div class=wide>" + "\n".join(lines) + "</table></div>"


def figures(images: Iterable[tuple[bytes, str]]) -> str:
    """JPEGs side by side, each with a caption."""
    inner = "".join(
        f"<figure>{picture(data, caption, 'jpeg')}<figcaption>{escape(caption)}</figcaption></figure>"
        for data, caption in images
    )
    return f"<div class=row>{inner}</div>" if inner else ""


def row(*parts: str) -> str:
    """Parts side by side."""
    return f"<div class=row>{''.join(parts)}</div>"


def picture(data: bytes, what: str, kind: str = "svg+xml") -> str:
    """A picture, of `kind` svg+xml, jpeg or png, and what it shows in words."""
    text = base64.b64encode(data).decode()
    return f'<img alt="{escape(what)}" title="{escape(what)}" src="data:image/{kind};base64,{text}">'
