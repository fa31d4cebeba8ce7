"""A few held-out clips with what is true and what the model says, to look at while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.batch import Collate
from avsf_det.data.classification.dataset import ClipViews
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.clip import read_clips
from avsf_det.data.dataset import Run
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.files import written_whole

if TYPE_CHECKING:
    from avsf_det.visual.examples import Example

EXAMPLES = 4
QUALITY = 90  # of the JPEG


def draw_example_clips(predictor: Predictor, dataset: AvaFolder, split: str, path: Path) -> np.ndarray | None:
    """Write a picture of `EXAMPLES` keyframes, evenly spread over a split, as JPEG.

    Returns:
        The picture, (H, W, 3) uint8 RGB; None if none of the clips can be read.
    """
    from avsf_det.visual.examples import Example

    keyframes = dataset.keyframes(split)
    examples = []
    for index in _spread(len(keyframes)):
        keyframe = keyframes[index]
        try:
            (clip,) = read_clips(dataset.videos[keyframe.video_id], [keyframe.time], predictor.spec)
        except UserError:
            continue  # evaluation has named it
        (scored,) = predictor([clip], [keyframe.persons])
        example = Example(
            frames=clip.frames,
            frame_times=predictor.spec.frame_times(0.0),
            boxes=keyframe.persons.boxes,
            labels=keyframe.persons.actions,
            scores=scored.actions,
            log_mel=clip.log_mel,
            sound_span=predictor.spec.sound_span(0.0),
            title=f"{keyframe.video_id} at {keyframe.time:g} s",
        )
        examples.append(example)
    return _written(examples, dataset.label_map.names, path)


def draw_example_views(predictor: ClipPredictor, folder: ClipFolder, split: str, path: Path) -> np.ndarray | None:
    """The same of `EXAMPLES` labelled clips, of each the view in the middle."""
    from avsf_det.visual.examples import Example

    clips = folder.clips(split)
    views = ClipViews.from_config(predictor.cfg, clips, folder.root)
    collate, examples = Collate.from_config(predictor.cfg, views.spec), []
    for index in _spread(len(clips)):
        (moments,) = views.read(Run(0, np.array([index])))
        if isinstance(moments, UserError):
            continue  # evaluation has named it
        view = views.cuts(moments[0])[0]
        example = Example(
            frames=view.frames.numpy(),
            frame_times=views.spec.frame_times(0.0),
            boxes=np.zeros((0, 4)),
            labels=view.labels.numpy(),
            scores=predictor(collate([view])),
            log_mel=None if view.log_mel is None else view.log_mel.numpy(),
            sound_span=views.spec.sound_span(0.0),
            title=f"{view.video_id} at {view.time:.1f} s",
        )
        examples.append(example)
    return _written(examples, clips.class_names, path)


def _spread(count: int) -> list[int]:
    """Up to `EXAMPLES` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, EXAMPLES).round().astype(int)).tolist()


def _written(examples: Sequence[Example], class_names: Sequence[str], path: Path) -> np.ndarray | None:
    from PIL import Image

    from avsf_det.visual.examples import draw_examples

    if not examples:
        return None
    picture = draw_examples(examples, class_names)
    with written_whole(path) as unfinished:
        Image.fromarray(picture).save(unfinished, quality=QUALITY)
    return picture
