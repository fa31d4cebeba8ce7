"""A checkpoint as a file that other programs run, tried before it is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from avsf_det import __version__
from avsf_det.data.batch import Batch, Collate, Sample
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.predictor import Predictor, scores_boxes
from avsf_det.errors import UserError
from avsf_det.files import written_whole
from avsf_det.models.export import ClipScorer, Graph

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
TOLERANCE = 1e-4  # of scores; float32 sums in another order differ by about 1e-6
SINGLE_VIEW = ("TEST.SCALES", "[]", "TEST.FLIP", "False", "TEST.PRECISION", "float32", "DEVICE", "cpu")

TRACED = (2, 3, 0)  # clips, persons, and pixels by which the picture is wider than high
TRIED = ((3, 5, 32), (1, 1, 0), (2, 0, 16))

INPUTS = {
    "frames": "(clips, num_frames, height, width, 3) uint8 RGB, the shorter side short_side pixels",
    "log_mel": "(clips, audio_frames, num_mels) float32, (ln(mel power + 1e-8) - mean) / std",
    "audio_present": "(clips,) bool, False for a clip without sound, whose log_mel is not looked at",
    "boxes": "(persons, 5) float32, index of the clip, then x1 y1 x2 y2 in pixels of frames",
}


@dataclass(frozen=True)
class Exported:
    """What became of an export.

    Attributes:
        path: the file.
        inputs: names, in the file's order.
        difference: the highest between a score of the file and the model's, on random clips.
    """

    path: Path
    inputs: tuple[str, ...]
    difference: float

    def summary(self) -> str:
        """In one line."""
        size = self.path.stat().st_size / 1e6
        return f"{', '.join(self.inputs)} -> scores, {size:.1f} MB, within {self.difference:.1e} of the model's scores"


def export_weights(weights: str | Path, output: Path, form: str | None = None) -> Exported:
    """Write the model of a checkpoint, of boxes or of whole clips, as ONNX or as torch.export does.

    Before the file is there it is run on random clips and boxes, as many as it was not traced with, with and without
    sound, beside the model.

    Args:
        weights: the checkpoint.
        output: the file, or a folder in which it is called as the checkpoint is.
        form: a name in `SUFFIXES`; None is what the file's suffix says, ONNX in a folder.

    Raises:
        UserError: if the checkpoint or the output cannot be used, a package is missing, or scores differ by `TOLERANCE`
            or more; no file is written then.
    """
    path, form = _target(Path(weights), output, form)
    if form == "onnx":
        _check_installed()
    predictor = (Predictor if scores_boxes(weights) else ClipPredictor).load(weights, SINGLE_VIEW)
    noise = np.random.default_rng(0)
    batches = [_noise(predictor, noise, *sizes) for sizes in (TRACED, *TRIED)]
    expected = [_eager(predictor, batch) for batch in batches]
    if not all(np.isfinite(scores).all() for scores in expected):
        raise UserError(f"{weights}: the model's scores are no numbers; see that the checkpoint's weights are")
    inputs = [_inputs(predictor, batch) for batch in batches]
    how = batches[0].normalisation
    graph = Graph.trace(ClipScorer(predictor.network.model.source, how.scale, how.shift, how.slow), inputs[0])
    save, run = (graph.save_onnx, _run_onnx) if form == "onnx" else (graph.save_torch, _run_torch)
    with written_whole(path) as unfinished:
        save(unfinished, _about(predictor, inputs[0]))
        got = run(unfinished, inputs)
        difference = max(float(np.abs(one - other).max(initial=0.0)) for one, other in zip(got, expected))
        if not difference < TOLERANCE:
            raise UserError(
                f"{path}: not written, for its scores differ from the model's by {difference:.1e} on random clips, "
                f"expected less than {TOLERANCE:.0e}; try another --format, or other versions of torch and onnxruntime"
            )
    return Exported(path, tuple(inputs[0]), difference)


def _target(weights: Path, output: Path, form: str | None) -> tuple[Path, str]:
    """The file to write, and its format."""
    forms = {suffix: name for name, suffix in SUFFIXES.items()}
    if output.suffix not in forms:
        form = form or "onnx"
        return output / f"{weights.stem}{SUFFIXES[form]}", form
    if form and form != forms[output.suffix]:
        raise UserError(f"{output}: --format {form} has the suffix {SUFFIXES[form]}; give another name, or a folder")
    return output, forms[output.suffix]


def _check_installed() -> None:
    for name in ("onnx", "onnxscript"):
        if not find_spec(name):
            raise UserError(f"{name} is not installed, which ONNX needs; pip install 'avsf-det[export]'")


def _noise(
    predictor: Predictor | ClipPredictor, noise: np.random.Generator, clips: int, persons: int, wider: int
) -> Batch:
    """Clips that show and sound like nothing, every other one without sound; boxes anywhere in any of them."""
    spec, boxed = predictor.spec, isinstance(predictor, Predictor)
    size = spec.num_frames, spec.short_side, spec.short_side + wider * boxed, 3
    owners = noise.integers(clips, size=persons if boxed else 0)
    samples = []
    for i in range(clips):
        corners = noise.random((int((owners == i).sum()), 2, 2), np.float32)
        corners.sort(axis=1)
        samples.append(
            Sample(
                frames=torch.from_numpy(noise.integers(256, size=size, dtype=np.uint8)),
                log_mel=torch.from_numpy(noise.standard_normal((spec.audio_frames, spec.num_mels), np.float32))
                if i % 2 == 0
                else None,
                boxes=torch.from_numpy(corners.reshape(-1, 4)),
                labels=torch.zeros(len(corners) if boxed else 1, 0),
            )
        )
    return Collate.from_config(predictor.cfg, spec)(samples)


def _eager(predictor: Predictor | ClipPredictor, batch: Batch) -> np.ndarray:
    """The model's own scores."""
    if isinstance(predictor, ClipPredictor):
        return predictor(batch)
    logits = predictor.network.model(batch.slow, batch.fast, batch.audio, batch.boxes, batch.audio_present)
    return predictor.network.model.scores(logits).numpy()


def _inputs(predictor: Predictor | ClipPredictor, batch: Batch) -> dict[str, torch.Tensor]:
    """A batch by the names of the file's inputs."""
    inputs = {"frames": batch.frames}
    if predictor.listens:
        inputs |= {"log_mel": batch.audio[:, 0, 0].contiguous(), "audio_present": batch.audio_present}
    if isinstance(predictor, Predictor):
        inputs["boxes"] = batch.boxes
    return inputs


def _about(predictor: Predictor | ClipPredictor, inputs: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """What a program has to know to run the file, as texts of JSON."""
    if isinstance(predictor, Predictor):
        labels, of = predictor.label_map, "persons"
        classes = [{"id": number, "name": name} for number, name in zip(labels.ids, labels.names)]
    else:
        classes, of = [{"head": head.name, "name": name} for head in predictor.heads for name in head.classes], "clips"
    spec, log_mel = predictor.spec, predictor.spec.log_mel()
    start, end = spec.sound_span(0.0)
    clip = asdict(spec) | {
        "frame_times": spec.frame_times(0.0).tolist(),
        "sound_samples": round((end - start) * spec.sample_rate),
        "window": log_mel.window,
        "hop": log_mel.hop,
    }
    about = {
        "avsf_det": __version__,
        "clip": clip,
        "classes": classes,
        "inputs": {name: INPUTS[name] for name in inputs},
        "outputs": {"scores": f"({of}, classes) float32 within 0..1"},
    }
    return {name: json.dumps(one) for name, one in about.items()}


def _run_onnx(path: Path, inputs: list[dict[str, torch.Tensor]]) -> list[np.ndarray]:
    from onnxruntime import InferenceSession

    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [session.run(["scores"], {name: one.numpy() for name, one in some.items()})[0] for some in inputs]


def _run_torch(path: Path, inputs: list[dict[str, torch.Tensor]]) -> list[np.ndarray]:
    model = torch.export.load(path).module()
    with torch.no_grad():
        return [model(**some).numpy() for some in inputs]
