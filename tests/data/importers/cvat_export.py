"""Synthetic scenes as CVAT exports them: what `avsf-det data import` has to bring back unchanged."""

from pathlib import Path

import numpy as np

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.scenes.generator import ScenesSpec, make_scene
from avsf_det.media.source import probe_source


def write_cvat_export(export: Path, scenes: Path, spec: ScenesSpec) -> None:
    """Write a file "CVAT for video 1.1" for each scene of a generated dataset."""
    export.mkdir(parents=True)
    for split, count in spec.scenes.items():
        for number in range(count):
            video = f"{split}_{number:04d}"
            (export / f"{video}.xml").write_text(cvat_export(scenes, spec, video, number))


def cvat_export(scenes, spec, video, number):
    """A scene's people in every frame, as "CVAT for video 1.1": pixels to a hundredth, a tick box for each action."""
    folder, split = AvaFolder(scenes), video.split("_")[0]
    info, scene = probe_source(folder.videos[video]), make_scene(spec, split, number)
    tracks = {}
    for frame in range(round(info.duration * info.fps)):
        time = frame / float(info.fps)
        if not 0.9 < time < spec.duration - 0.9:
            continue
        for person, (box, actions) in enumerate(zip(scene.frame(time, 0)[1], scene.actions(time))):
            if box is not None:
                tracks.setdefault(person, []).append((frame, box, actions))
    text = "<annotations><version>1.1</version><meta><task><id>1</id><name>t</name><mode>interpolation</mode>"
    text += f"<subset>{split}</subset><original_size><width>{info.width}</width><height>{info.height}</height>"
    text += f"</original_size><source>{video}.mp4</source></task></meta>\n"
    for person, rows in tracks.items():
        text += f'<track id="{person}" label="person" source="manual">\n'
        for frame, box, actions in rows:
            x1, y1, x2, y2 = np.asarray(box) * (info.width, info.height, info.width, info.height)
            text += f'<box frame="{frame}" keyframe="1" outside="0" occluded="0" '
            text += f'xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}" z_order="0">'
            for name in folder.label_map.names:
                text += f'<attribute name="{name}">{str(name in actions).lower()}</attribute>'
            text += "</box>\n"
        text += "</track>\n"
    return text + "</annotations>\n"
