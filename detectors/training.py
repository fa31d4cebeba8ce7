"""Fine-tune a Detectron2 detector on the persons of an AVA-format dataset."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from avsf_det.errors import UserError
from avsf_det.models.checkpoint import save_checkpoint
from detectors.detectron import require_detectron2
from detectors.files import fingerprint, write_whole
from detectors.keyframes import PersonKeyframe, person_keyframes, pictures
from detectors.weights import cache_folder

JPEG_QUALITY = 95


def train_detector(
    config: str | Path,
    dataset_root: str | Path,
    output_dir: str | Path,
    overrides: Sequence[str] = (),
    split: str = "train",
    resume: bool = False,
    seed: int = 0,
    device: str | None = None,
) -> Path:
    """Train a Detectron2 network on the persons of a dataset; return its weights, `output_dir/model_final.pth`.

    The schedule is the configuration's: SOLVER.MAX_ITER batches of SOLVER.IMS_PER_BATCH keyframes, and a checkpoint
    every SOLVER.CHECKPOINT_PERIOD batches. On a CPU the same seed gives the same weights, whether training was
    interrupted and resumed or not. The weights carry their configuration; it is also written to
    `output_dir/config.yaml`. The keyframes are kept as pictures in `cache_folder()`.

    Args:
        config: a configuration as `DetectronDetector` takes it; training starts from its MODEL.WEIGHTS.
        dataset_root: the dataset's folder; see `person_keyframes`.
        output_dir: made if need be.
        overrides: KEY VALUE KEY VALUE ... of the configuration.
        split: of the dataset.
        resume: go on from `output_dir/checkpoint.pth` if it is there.
        seed: of weights, order and augmentation.
        device: a torch device; without it, the GPU if there is one.

    Raises:
        UserError: if something is wrong with the configuration, the weights, the dataset or the output folder, or if
            training diverges.
    """
    require_detectron2()
    from detectron2.solver import build_lr_scheduler, build_optimizer
    from detectron2.utils.events import EventStorage

    from detectors.detectron_model import build_network, find_weights, load_config, load_weights, persons_only

    cfg = load_config(config, overrides)
    persons_only(cfg)
    cfg.SEED = seed
    text = cfg.dump()
    output = Path(output_dir)
    records = _records(person_keyframes(dataset_root, split))

    torch.manual_seed(seed)
    network = build_network(cfg, device).train()
    if cfg.MODEL.WEIGHTS:
        load_weights(network, find_weights(cfg.MODEL.WEIGHTS), whole=False)
    optimizer = build_optimizer(cfg, network)
    scheduler = build_lr_scheduler(cfg, optimizer)
    state = {"model": network, "optimizer": optimizer, "scheduler": scheduler}
    start = _resume(output / "checkpoint.pth", state, text) if resume else 0
    write_whole(output / "config.yaml", text.encode())

    batches = _batches(cfg, records, start, seed)
    total = cfg.SOLVER.MAX_ITER
    progress = tqdm(batches, "train", total, initial=start, unit="batch", disable=None)
    with EventStorage(start) as storage, progress:
        for iteration, batch in enumerate(progress, start + 1):
            torch.manual_seed(seed * total + iteration)  # what the network samples, also after a resume
            loss = _loss(network, batch)
            if not loss.isfinite():
                raise UserError(f"training diverged at batch {iteration}: lower SOLVER.BASE_LR ({cfg.SOLVER.BASE_LR})")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            storage.step()
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            if iteration % cfg.SOLVER.CHECKPOINT_PERIOD == 0 or iteration == total:
                states = {name: part.state_dict() for name, part in state.items()}
                save_checkpoint(output / "checkpoint.pth", {**states, "iteration": iteration, "config": text})
    weights = output / "model_final.pth"
    save_checkpoint(weights, {"model": network.state_dict(), "config": text})
    return weights


def _loss(network: torch.nn.Module, batch: list[dict]) -> torch.Tensor:
    try:
        return sum(network(batch).values())
    except FloatingPointError:  # Detectron2 met a box that is not finite
        return torch.tensor(math.nan)


class TrainingStream(torch.utils.data.Dataset):
    """What training sees, one keyframe after the other, without end.

    The keyframe at a position, and how it is augmented, depend on the seed and the position alone: not on what was
    asked for before, nor on the process that asks.

    Args:
        records: the keyframes as Detectron2 describes pictures.
        mapper: Detectron2's, from a record to the network's input; it draws from numpy's global generator.
        seed: of order and augmentation.
    """

    def __init__(self, records: Sequence[dict], mapper: Any, seed: int) -> None:
        self._records, self._mapper, self._seed = records, mapper, seed
        self._order = lru_cache(maxsize=2)(self._permutation)

    def __getitem__(self, position: int) -> dict:
        epoch, row = divmod(position, len(self._records))
        np.random.seed([self._seed, position])
        return self._mapper(self._records[self._order(epoch)[row]])

    def _permutation(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(len(self._records))


def _batches(cfg: Any, records: Sequence[dict], start: int, seed: int) -> torch.utils.data.DataLoader:
    """The batches from number `start` to the last, as Detectron2's networks take them."""
    from detectron2.data import DatasetMapper

    size = cfg.SOLVER.IMS_PER_BATCH
    return torch.utils.data.DataLoader(
        TrainingStream(records, DatasetMapper(cfg, is_train=True), seed),
        sampler=range(start * size, cfg.SOLVER.MAX_ITER * size),
        batch_size=size,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=list,
    )


def _records(keyframes: Sequence[PersonKeyframe]) -> list[dict]:
    """The keyframes as Detectron2 describes pictures."""
    from detectron2.structures import BoxMode
    from PIL import Image

    records = []
    for number, (keyframe, file) in enumerate(zip(keyframes, _picture_files(keyframes))):
        with Image.open(file) as image:
            width, height = image.size
        boxes = keyframe.persons.to_pixels(width, height).tolist()
        persons = [{"bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0, "iscrowd": 0} for box in boxes]
        picture = {"file_name": str(file), "image_id": number, "height": height, "width": width}
        records.append({**picture, "annotations": persons})
    return records


def _picture_files(keyframes: Sequence[PersonKeyframe]) -> list[Path]:
    """A picture file for each keyframe; what is not in the cache folder yet is decoded."""
    from PIL import Image

    folders = {video: cache_folder() / "keyframes" / fingerprint(video) for video in {k.video for k in keyframes}}
    files = [folders[keyframe.video] / f"{round(keyframe.time * 1e6)}.jpg" for keyframe in keyframes]
    missing = [(keyframe, file) for keyframe, file in zip(keyframes, files) if not file.is_file()]
    to_write = (file for _, file in missing)
    with tqdm(total=len(missing), desc="decode", unit="frame", disable=None if missing else True) as progress:
        for frames in pictures([keyframe for keyframe, _ in missing]):
            for frame, file in zip(frames, to_write):
                content = io.BytesIO()
                Image.fromarray(frame.image).save(content, "jpeg", quality=JPEG_QUALITY)
                write_whole(file, content.getvalue())
            progress.update(len(frames))
    return files


def _resume(path: Path, parts: dict[str, Any], config: str) -> int:
    """Put a checkpoint's states into the parts; return how many batches it has seen, 0 if there is none."""
    from detectors.detectron_model import read_checkpoint

    if not path.is_file():
        return 0
    checkpoint = read_checkpoint(path)
    if checkpoint["config"] != config:
        raise UserError(
            f"{path} was trained with another configuration or seed; choose another folder, or do not resume"
        )
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])
    return checkpoint["iteration"]
