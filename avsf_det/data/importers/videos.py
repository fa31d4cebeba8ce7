"""Which file or folder of frames an export means by a name."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from avsf_det.errors import UserError
from avsf_det.files import walk_folder
from avsf_det.media.frame_folder import PICTURE_SUFFIXES
from avsf_det.media.source import SOUND_SUFFIXES, VideoSource
from avsf_det.structures import VIDEO_SUFFIXES

_SOUNDS = tuple(suffix for suffix in SOUND_SUFFIXES if suffix not in VIDEO_SUFFIXES)
_SUFFIX = re.compile(f"({'|'.join(map(re.escape, SOUND_SUFFIXES))})$", re.IGNORECASE)


class VideoFolder:
    """The videos under a folder: files at any depth, folders of numbered pictures, and files of sound for these.

    A folder of frames is known by its own name and, where no other folder of frames is in the same folder, by that
    folder's, as in `<video>/rgb/0001.jpg`.

    Args:
        root: the folder, or one file.
        frame_rate: pictures a second of folders of pictures.

    Raises:
        UserError: if it is missing.
    """

    def __init__(self, root: Path, frame_rate: float) -> None:
        if not root.exists():
            raise UserError(f"{root}: no such folder of videos; give it as --videos FOLDER")
        self._root, self._frame_rate = (root if root.is_dir() else root.parent), frame_rate
        self._sounds: dict[str, Path] = {}
        self._paths: dict[str, set[Path]] = defaultdict(set)
        for path in [root] if root.is_file() else self._walk(root):
            for key in _keys(self._name(path)):
                self._paths[key].add(path)
        self._others: dict[str, set[Path]] = defaultdict(set)  # by what else they may be called
        self._within: set[Path] = set()  # folders of frames that were meant by the folder they are in
        for path in set().union(*self._paths.values()):
            for key in (_loose(path.name), *self._outer_keys(path)):
                self._others[key].add(path)
        if not self._paths:
            raise UserError(
                f"{root}: no video in this folder; expected {', '.join(VIDEO_SUFFIXES)}, or folders of frames"
            )

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix() if path != self._root else path.name

    def _outer_keys(self, path: Path) -> list[str]:
        """What the folder that a folder of frames is in is looked up by."""
        return _keys(self._name(path.parent)) if path.is_dir() and path != self._root else []

    def _walk(self, root: Path) -> list[Path]:
        found = []
        for folder, names in walk_folder(root):
            found += [folder / name for name in names if name.lower().endswith(VIDEO_SUFFIXES)]
            for name in names:
                if name.lower().endswith(_SOUNDS):
                    self._sounds.setdefault(_plain(without_suffix(name)), folder / name)
            if any(name.lower().endswith(PICTURE_SUFFIXES) and re.search(r"\d\.\w+$", name) for name in names):
                found.append(folder)
        return sorted(found)

    def find(self, names: tuple[str, ...]) -> VideoSource:
        """The video that is meant by the first of the names that means one.

        A file comes before a folder of frames of the same name. Case, file suffixes, percent signs of addresses and
        folders in front do not matter where the name is unique without.

        Raises:
            UserError: if there is none, or several.
        """
        for name in names:
            for key in (*_keys(name), _loose(PurePosixPath(name).name)):
                paths = self._paths.get(key) or self._others.get(key, set())
                paths = {path for path in paths if path.is_file()} or paths
                if len(paths) == 1:
                    return self._source(next(iter(paths)), key)
                if paths:
                    of = ", ".join(str(path) for path in sorted(paths)[:3])
                    raise UserError(f"{name} may be any of {of}; give files different names, or only one to --videos")
        if not names:
            raise UserError("the export does not name a video")
        close = get_close_matches(_plain(without_suffix(names[0])), self._paths, 1)
        hint = f"; there is {min(self._paths[close[0]])}" if close else ""
        raise UserError(f"no video {' or '.join(dict.fromkeys(names))} in {self._root}{hint}")

    def only(self) -> VideoSource | None:
        """The video, if there is only one."""
        paths = set().union(*self._paths.values())
        return self._source(*paths, "") if len(paths) == 1 else None

    def _source(self, path: Path, key: str) -> VideoSource:
        if not path.is_dir():
            return VideoSource(path)
        if key not in self._paths and key in self._outer_keys(path):
            self._within.add(path)
        sound = self._sounds.get(_plain(self.video_id(path)))
        return VideoSource(path, fps=self._frame_rate, sound=VideoSource(sound) if sound else None)

    def video_id(self, path: Path) -> str:
        """The id that a video gets: its name without suffix; with its folders before it where others share it."""
        own = without_suffix(path.name) if path.is_file() else path.name
        if path in self._within and self._others[_plain(path.parent.name)] == {path}:
            return path.parent.name
        rivals = self._paths[_plain(own)]
        if {p for p in rivals if p.is_file() == path.is_file()} == {path} or path == self._root:
            return own
        return without_suffix(path.relative_to(self._root).as_posix()).replace("/", "_")


def without_suffix(name: str) -> str:
    """A name without a video's suffix; other dots stay."""
    return _SUFFIX.sub("", name)


def _keys(name: str) -> list[str]:
    """What to look a name up by, the most exact first."""
    path = unquote(name).replace("\\", "/").strip().lstrip("./")
    last = PurePosixPath(path).name
    keys = [name, path, without_suffix(path), last, without_suffix(last)]
    return list(dict.fromkeys(_plain(key) for key in keys if key))


def _loose(name: str) -> str:
    """A file's name as tables may have changed it: "my_clip" is "my clip", and 7 is 007."""
    return _plain(re.sub(r"\s+", "_", without_suffix(name)).lstrip("0"))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()
