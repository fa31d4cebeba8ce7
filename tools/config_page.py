"""Write docs/config.md, the reference of all configuration keys, from their defaults and the comments beside them.

python tools/config_page.py
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "config.md"
HEAD = """# Configuration keys

A configuration is the defaults below, changed by a recipe (`--config`, a yaml file of those in `configs/` or your own)
and then by KEY VALUE pairs on the command line. `_BASE_` in a recipe names the file or files it starts from. A key that
does not exist is refused, and the nearest one named.

```bash
avsf-det config --config scenes/avslowfast_small SOLVER.BASE_LR 0.01
```

shows what a recipe and pairs amount to. This page is written by `tools/config_page.py`.
"""


def page(described: str) -> str:
    """The page of what `avsf_det.config.describe_keys` says: a table for each first part of the keys."""
    rows = []
    for line in described.splitlines():
        key, _, rest = line.partition(" = ")
        default, _, meaning = rest.partition("  # ")
        rows.append((key, default, meaning))
    parts = [HEAD]
    for section, members in groupby(rows, key=lambda row: row[0].rpartition(".")[0].partition(".")[0]):
        parts.append(f"\n## {section or 'Of the whole run'}\n\n| key | default | meaning |\n|---|---|---|\n")
        parts += [
            f"| `{key}` | `{default.replace('|', chr(92) + '|')}` | {_cell(meaning)} |\n"
            for key, default, meaning in members
        ]
    return "".join(parts)


def _cell(text: str) -> str:
    """Text that stands in a table as it is."""
    return re.sub(r"([|*_])", r"\\\1", text).replace("<", "&lt;")


def main() -> None:
    """Write the page."""
    sys.path.insert(0, str(ROOT))
    from avsf_det.config import describe_keys

    PAGE.write_text(page(describe_keys()), encoding="utf-8")


if __name__ == "__main__":
    main()
