"""Scenes as CVAT exports what people drew on them: what an import is measured and tested by."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.scenes.generator import ScenesSpec, make_scene
from avsf_det.files import written_whole
from avsf_det.media.source import probe_source

_MARGIN = 0.9  # seconds at the ends of a scene that nobody annotates


def export_cvat(root: Path, spec: ScenesSpec, output: Path) -> None:
    """Write `<video>.xml`, "CVAT for video 1.1", for each scene of a dataset.

    Args:
        root: the dataset that `generate` wrote.
        spec: as it was given to that.
        output: folder to make.
    """
    output.mkdir(parents=True, exist_ok=True)
    folder = AvaFolder(root)
    for split, count in spec.scenes.items():
        for number in range(count):
            video = f"{split}_{number:04d}"
            with written_whole(output / f"{video}.xml") as unfinished:
                ET.ElementTree(scene_xml(folder, spec, video)).write(unfinished, encoding="utf-8")


def scene_xml(folder: AvaFolder, spec: ScenesSpec, video: str) -> ET.Element:
    """A scene's people in every frame, boxes in pixels to a hundredth, with a tick box for each action."""
    split, _, number = video.rpartition("_")
    info, scene = probe_source(folder.videos[video]), make_scene(spec, split, int(number))
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    task = ET.SubElement(ET.SubElement(root, "meta"), "task")
    size = {"width": info.width, "height": info.height}
    for name, value in {"id": 1, "name": video, "mode": "interpolation", "subset": split}.items():
        ET.SubElement(task, name).text = str(value)
    original = ET.SubElement(task, "original_size")
    for name, value in size.items():
        ET.SubElement(original, name).text = str(value)
    ET.SubElement(task, "source").text = f"{video}.mp4"
    tracks: dict[int, ET.Element] = {}
    for frame in range(round(info.duration * info.fps)):
        time = frame / float(info.fps)
        if not _MARGIN < time < spec.duration - _MARGIN:
            continue
        for person, (box, actions) in enumerate(zip(scene.frame(time, 0)[1], scene.actions(time))):
            if box is not None:
                if person not in tracks:
                    tracks[person] = ET.SubElement(root, "track", id=str(person), label="person", source="manual")
                corners = np.asarray(box) * (info.width, info.height, info.width, info.height)
                _add_box(tracks[person], frame, corners, {name: name in actions for name in folder.label_map.names})
    return root


def _add_box(track: ET.Element, frame: int, corners: np.ndarray, ticks: dict[str, bool]) -> None:
    corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), (f"{value:.2f}" for value in corners)))
    box = ET.SubElement(track, "box", frame=str(frame), keyframe="1", outside="0", occluded="0", z_order="0", **corners)
    for name, ticked in ticks.items():
        ET.SubElement(box, "attribute", name=name).text = str(ticked).lower()
