"""Fonts for every script: DejaVu Sans, and the system's fonts for the characters that it lacks."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont, features

logger = logging.getLogger(__name__)

_TALLEST = 1.55  # of the font size: what a line of text has room for, from ascent to descent
_SMALLEST = 0.8  # of the font size: smaller fallback fonts are hard to read
_LOWER_RANK = re.compile("bold|black|light|thin|medium|italic|oblique|condensed|mono|display|serif|looped|ui")
_PACKAGES = {
    "CJK": "fonts-noto-cjk",
    "HIRAGANA": "fonts-noto-cjk",
    "KATAKANA": "fonts-noto-cjk",
    "HANGUL": "fonts-noto-cjk",
    "symbols": "fonts-noto-color-emoji",
}
_reported: set[str] = set()


@dataclass(frozen=True)
class Face:
    """A font file.

    Attributes:
        path: of the file.
        index: of the font within the file.
        charset: the code points that it has, as fontconfig writes them ("20-7e a0"); "" reads them from the file.
    """

    path: str
    index: int = 0
    charset: str = ""

    @cached_property
    def _ranges(self) -> tuple[list[int], list[int]]:
        """First and last code points of the ranges that the font has, ascending."""
        if self.charset:
            pairs = [(first, last or first) for first, _, last in (r.partition("-") for r in self.charset.split())]
            return [int(first, 16) for first, _ in pairs], [int(last, 16) for _, last in pairs]
        from matplotlib.ft2font import FT2Font

        try:
            points = sorted(FT2Font(self.path).get_charmap())
        except (RuntimeError, OSError):  # a damaged file
            points = []
        return points, points

    def has(self, characters: Iterable[str]) -> bool:
        """Whether the font has a glyph for each of the characters."""
        starts, ends = self._ranges
        places = ((ord(character), bisect_right(starts, ord(character)) - 1) for character in characters)
        return all(place >= 0 and point <= ends[place] for point, place in places)

    def draws(self, characters: str) -> bool:
        """Whether the font has the characters in a form that Pillow can draw."""
        if not self.has(filter(is_visible, characters)):
            return False
        try:
            return load(self, 32)[0].getmask(characters).getbbox() is not None
        except (OSError, ValueError):
            return False


def base_face() -> Face:
    """DejaVu Sans, which comes with matplotlib."""
    return _base_face()


@lru_cache
def _base_face() -> Face:
    folder = Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf"
    return Face(str(folder / "DejaVuSans.ttf"))


def is_visible(character: str) -> bool:
    """Whether a font needs a glyph for a character; joiners, variation selectors and emoji tags need none."""
    point = ord(character)
    return not (point in (0x200C, 0x200D) or 0xFE00 <= point <= 0xFE0F or 0xE0000 <= point <= 0xE01EF)


@lru_cache(maxsize=4096)
def find_face(characters: str) -> Face | None:
    """The font to draw a character and its marks with, or None if no font has them."""
    if "\ufe0f" in characters or "\U0001f1e6" <= characters[0] <= "\U0001faff":
        emoji = next((f for f in system_faces() if "emoji" in f.path.lower() and f.draws(characters)), None)
        if emoji:
            return emoji
    if base_face().has(filter(is_visible, characters)):
        return base_face()
    return next((face for face in system_faces() if face.draws(characters)), None)


@lru_cache(maxsize=64)
def load(face: Face, size: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """A font with complex text layout, and the factor by which what it draws has to be scaled.

    A font that is too tall for a line is loaded smaller. Bitmap fonts (emoji) have one size of their own.
    """
    engine = ImageFont.Layout.RAQM if has_shaping() else ImageFont.Layout.BASIC
    for own in (size, 109, 136, 128, 160):  # sizes of the bitmap emoji fonts
        try:
            font = ImageFont.truetype(face.path, own, face.index, layout_engine=engine)
        except OSError:
            continue
        height = sum(font.getmetrics())
        if own != size:
            return font, size / own
        if face != base_face() and height > _TALLEST * size:
            smaller = int(size * max(_SMALLEST, _TALLEST * size / height))
            font = ImageFont.truetype(face.path, smaller, face.index, layout_engine=engine)
        return font, 1.0
    raise OSError(f"{face.path}: cannot be loaded")


def has_shaping() -> bool:
    """Whether Pillow can join Arabic letters, order right-to-left text and form Indic conjuncts."""
    return features.check("raqm")


@lru_cache
def system_faces() -> tuple[Face, ...]:
    """The installed fonts, plain sans-serif ones first."""
    if fc_list := shutil.which("fc-list"):
        command = [fc_list, "-f", "%{file}\t%{index}\t%{charset}\n"]
        listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout
        rows = [line.split("\t") for line in listed.splitlines()]
        found = [Face(row[0], int(row[1]), row[2]) for row in rows if len(row) == 3 and int(row[1]) < 1 << 16]
    else:
        files = (file for folder in font_folders() for file in folder.rglob("*"))
        found = [Face(str(file)) for file in files if file.suffix.lower() in (".ttf", ".otf", ".ttc", ".otc")]
    return tuple(sorted((face for face in found if "lastresort" not in face.path.lower()), key=_rank))


def font_folders() -> list[Path]:
    """The folders in which fonts are usually installed."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    data = os.environ.get("XDG_DATA_HOME", "")
    own = Path(data) if data else home / ".local/share"
    return [own / "fonts", home / ".fonts", Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]


def _rank(face: Face) -> tuple[bool, int, str, int]:
    name = Path(face.path).stem.lower().replace("sansserif", "sans")
    lower = len(_LOWER_RANK.findall(name))
    return "sans" not in name, lower, face.path, face.index


def report_missing(characters: str) -> None:
    """Log once per script that no font has the characters, and which package has one."""
    scripts: dict[str, str] = {}
    for character in characters:
        script = _script(character)
        scripts[script] = scripts.get(script, "") + character
    for script, some in scripts.items():
        if script not in _reported:
            _reported.add(script)
            logger.warning(
                "no installed font has %s characters (%s); images show their code points instead; install a font, on "
                "Debian and Ubuntu: apt-get install %s",
                script,
                " ".join(f"U+{ord(c):04X}" for c in dict.fromkeys(some[:5])),
                _PACKAGES.get(script, "fonts-noto-core"),
            )


def report_no_shaping() -> None:
    """Log once that complex scripts are drawn letter by letter."""
    if "shaping" not in _reported:
        _reported.add("shaping")
        logger.warning(
            "Pillow cannot shape text (no Raqm or FriBiDi); letters of Arabic and Indic scripts in images are not "
            "joined; on Debian and Ubuntu: apt-get install libfribidi0"
        )


def _script(character: str) -> str:
    """The script of a character, as the first word of its Unicode name."""
    if unicodedata.category(character)[0] == "S":
        return "symbols"
    name = unicodedata.name(character, "")
    return name.split()[0].split("-")[0] if name else "private-use or unassigned"
