"""The demo: scenes made, detector and action models trained and evaluated on them, a held-out scene annotated."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ava_eval import Evaluation
from avsf_det.config import find_config, load_cfg
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.scenes.activities import SOUND_PAIRS, TIMING_PAIR
from avsf_det.data.scenes.generator import ScenesSpec, generate
from avsf_det.engine.detect import DetectOptions, detect_video
from avsf_det.engine.evaluate import default_cache, evaluate_weights
from avsf_det.engine.output import safe_name
from avsf_det.engine.person_detector import find_on_keyframes, measure_found, split_keyframes
from avsf_det.engine.persons import open_detector
from avsf_det.engine.predictor import Predictor
from avsf_det.engine.result_cache import Owner, choose_name
from avsf_det.engine.train import Trainer
from avsf_det.media.video import VideoReader, probe
from detectors.files import write_whole
from detectors.training import train_detector

DETECTOR_CONFIG = "detectors/person_r18_fpn_small"
VISUAL_CONFIG, AUDIOVISUAL_CONFIG = "scenes/slowfast_small", "scenes/avslowfast_small"
TEST_SPLIT = "test"  # its bodies, places and seeds are in no training video
SHOWN = ScenesSpec({"test": 1}, width=640, height=480, duration=10, seed=45)
"""The scene that is annotated: larger, so that one can see; people and place are of no other video.

Its seed is one that has two bells and a drum, which is mimed first and then played.
"""
PICTURE_AT = 0.65  # of the annotated video's duration: the frame that is kept as a picture
SHOWN_SCORE = 0.7
"""Persons that the detector is less sure of are not shown; evaluation takes more, for AP ranks them."""
COLUMNS = ("with sound", "sound off", "no audio model")


class Demo:
    """Everything the demo makes, in one folder; what is there already is not made again.

    Args:
        output: the folder.
        scenes: the dataset to make.
        detector_overrides: KEY VALUE ... for the detector's configuration.
        overrides: KEY VALUE ... for the configurations of both action models.
    """

    def __init__(
        self,
        output: Path,
        scenes: ScenesSpec | None = None,
        detector_overrides: Sequence[str] = (),
        overrides: Sequence[str] = (),
    ) -> None:
        self.output = output
        self._spec = scenes or ScenesSpec()
        self._detector_overrides, self._overrides = detector_overrides, list(overrides)
        self.dataset = output / "scenes"
        self.weights: dict[str, Path] = {}

    def run(self, video: Path | None = None) -> None:
        """Train what is not trained yet; then annotate `video`, or evaluate and annotate a held-out scene.

        Raises:
            UserError: if the folder cannot be written, or the video not be read.
        """
        if video is not None:
            probe(video)
        started = time.monotonic()
        self._make_scenes()
        self._train_detector()
        self._train_models()
        if video is None:
            print(self._evaluate())
        self._annotate(video or self._shown_scene())
        print(f"{time.monotonic() - started:.0f} s in all")

    def _make_scenes(self) -> None:
        _heading(f"{sum(self._spec.scenes.values())} synthetic scenes with sound -> {self.dataset}")
        generate(self.dataset, self._spec, progress=lambda rows, n: tqdm(rows, "scenes", n, unit="video", disable=None))

    def _shown_scene(self) -> Path:
        generate(self.output / "shown", SHOWN)
        return self.output / "shown" / "videos" / "test_0000.mp4"

    def _train_detector(self) -> None:
        self.detector = self.output / "detector" / "model_final.pth"
        if not self.detector.is_file():
            _heading(f"person detector, Detectron2 -> {self.detector}")
            config = find_config(DETECTOR_CONFIG)
            keyframes = split_keyframes(AvaFolder(self.dataset), "train")
            train_detector(config, keyframes, self.detector.parent, self._detector_overrides, resume=True)

    @property
    def _evaluated(self) -> list:
        """Keys that say on what models are evaluated."""
        return ["DATA.EVAL_SPLIT", TEST_SPLIT, "DETECTOR.MODEL", self.detector]

    def _train_models(self) -> None:
        """The visual model first, then the audiovisual one, which starts from its weights."""
        for name, config in (("slowfast", VISUAL_CONFIG), ("avslowfast", AUDIOVISUAL_CONFIG)):
            output = self.output / name
            settings = ["DATA.ROOT", self.dataset, "OUTPUT_DIR", output, "DATA.CACHE_DIR", self.output / "clips"]
            settings += self._evaluated
            if name == "avslowfast":
                settings += ["TRAIN.CHECKPOINT_FILE_PATH", self.weights["slowfast"]]
            cfg = load_cfg(config, [str(setting) for setting in settings] + self._overrides)
            _heading(f"action model {config} -> {output}")
            self.weights[name] = Trainer(cfg).run()

    def _evaluate(self) -> str:
        """The table, which is also written to results.json."""
        _heading("held-out scenes, with detected persons")
        keyframes = split_keyframes(AvaFolder(self.dataset), TEST_SPLIT)
        found = find_on_keyframes(open_detector(str(self.detector), score_threshold=0.05), keyframes)
        ap50 = measure_found(found, keyframes).metrics["AP50"]
        settings = ["DATA.ROOT", str(self.dataset), *map(str, self._evaluated)]
        runs = {
            COLUMNS[0]: evaluate_weights(self.weights["avslowfast"], settings),
            COLUMNS[1]: evaluate_weights(self.weights["avslowfast"], settings, use_audio=False),
            COLUMNS[2]: evaluate_weights(self.weights["slowfast"], settings),
        }
        evaluations = {column: result.evaluation for column, result in runs.items()}
        results = {"person AP50": ap50}
        results |= {column: evaluation.to_dict() for column, evaluation in evaluations.items()}
        write_whole(self.output / "results.json", json.dumps(results, indent=2).encode())
        return format_table(ap50, evaluations)

    def _annotate(self, video: Path) -> None:
        predictor = Predictor.load(self.weights["avslowfast"])
        if video.is_relative_to(self.output):
            detector = open_detector(str(self.detector), score_threshold=SHOWN_SCORE)
        else:  # the demo's own detector has only ever seen drawn figures, and finds them everywhere
            detector = open_detector("yolox")
        _heading(f"annotating {video}")
        options = DetectOptions(cache=default_cache())
        name = choose_name(safe_name(video.stem), self.output, Owner.of(video), options.suffixes(False))
        result = detect_video(video, self.output / name, predictor, detector, options)
        print(result.summary())
        for path in (*result.files.values(), _picture(result.files["mp4"])):
            print(f"  {path}")


def format_table(person_ap50: float, evaluations: dict[str, Evaluation]) -> str:
    """What the demo shows: a row a measure, a column each of COLUMNS; a pair's AP is the mean of its two classes."""
    rows = [("frame mAP, all classes", *(evaluation.mAP for evaluation in evaluations.values()))]
    for pair in (*SOUND_PAIRS.values(), TIMING_PAIR):
        aps = ([evaluation.ap[name] for name in pair] for evaluation in evaluations.values())
        rows.append((" / ".join(pair), *(float(np.mean(ap)) for ap in aps)))
    lines = [f"person AP50 {person_ap50:.3f}", "", f"{'AP at IoU 0.5':32}" + "".join(f"{c:>16}" for c in COLUMNS)]
    lines += [f"{name:32}" + "".join(f"{value:16.3f}" for value in values) for name, *values in rows]
    lines += [
        "",
        "Each pair looks the same: whether it is heard tells which is which, and for bells, which two people swing by",
        "turns, when it is heard. Guessing between the two gives about 0.5.",
    ]
    return "\n".join(lines)


def _picture(video: Path) -> Path:
    """Keep one frame of `video` beside it, in few enough colours for a README."""
    with VideoReader(video) as reader:
        (frame,) = reader.frames_at(np.array([PICTURE_AT * reader.info.duration]))
    data = io.BytesIO()
    Image.fromarray(frame).quantize(dither=Image.Dither.NONE).save(data, "PNG", optimize=True)
    path = video.with_name(f"{video.stem}_frame.png")
    write_whole(path, data.getvalue())
    return path


def _heading(text: str) -> None:
    print(f"\n== {text}", flush=True)
