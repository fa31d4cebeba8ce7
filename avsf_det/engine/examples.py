"""A few held-out clips with what is true and what the model says, to look at while it trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.clip import read_clips
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.files import written_whole

EXAMPLES = 4
QUALITY = 90  # of the JPEG


def draw_example_clips(predictor: Predictor, dataset: AvaFolder, split: str, path: Path) -> np.ndarray | None:
    """Write a picture of `EXAMPLES` keyframes, evenly spread over a split, as JPEG.

    Returns:
        The picture, (H, W, 3) uint8 RGB; None if none of the clips can be read.
    """
    from PIL import Image

    from avsf_det.visual.examples import Example, draw_examples

    keyframes = dataset.keyframes(split)
    examples = []
    for index in np.unique(np.linspace(0, len(keyframes) - 1, EXAMPLES).round().astype(int)).tolist():
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
    if not examples:
        return None
    picture = draw_examples(examples, dataset.label_map.names)
    with written_whole(path) as unfinished:
        Image.fromarray(picture).save(unfinished, quality=QUALITY)
    return picture
