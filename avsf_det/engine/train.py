"""Training of the action model on an AVA-format dataset; killed at any moment, it goes on from the last epoch."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from tqdm import tqdm
from yacs.config import CfgNode

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.clip import ClipSpec
from avsf_det.data.dataset import ActionDataset, Batch, Collate
from avsf_det.data.transforms import TrainTransform
from avsf_det.engine.device import choose_device, seed_everything
from avsf_det.engine.evaluate import check_label_map, evaluate_split
from avsf_det.engine.output import make_output
from avsf_det.engine.predictor import Predictor, checkpoint_cfg, checkpoint_label_map, load_all_weights
from avsf_det.engine.schedule import build_optimizer, describe_schedule, lr_at
from avsf_det.errors import UserError
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_checkpoint, load_weights, save_checkpoint
from avsf_det.models.importers import OURS, read_weights
from avsf_det.models.synchronisation import choose_negatives, easy_negatives

logger = logging.getLogger(__name__)


class Trainer:
    """One training run in a configuration's OUTPUT_DIR.

    Args:
        cfg: the configuration; its MODEL.NUM_CLASSES is set from the dataset's label map.

    Raises:
        UserError: for anything wrong with the dataset, the weights to start from or the output folder.
    """

    def __init__(self, cfg: CfgNode) -> None:
        if not cfg.DETECTION.ENABLE:
            raise UserError("DETECTION.ENABLE is False, but training is on boxes; expected True")
        self.dataset = AvaFolder.from_config(cfg)
        self.output = make_output(cfg.OUTPUT_DIR, "OUTPUT_DIR")
        cfg.MODEL.NUM_CLASSES = len(self.dataset.label_map)
        self.cfg = cfg
        self.device = choose_device(cfg.DEVICE)
        seed_everything(cfg.RNG_SEED)
        self.model = build_model(cfg).to(self.device, memory_format=torch.channels_last_3d)
        self.optimizer = build_optimizer(self.model, cfg, cfg.TRAIN.BATCH_SIZE)
        self.epoch = 0
        self.last = last_checkpoint(self.output) if cfg.TRAIN.AUTO_RESUME else None
        self._start()
        self.samples, self.loader = self._load_data()

    def _start(self) -> None:
        """Take weights, and when resuming everything else, from a checkpoint."""
        cfg, last = self.cfg, self.last
        if last:
            checkpoint = load_checkpoint(last)
            check_label_map(checkpoint_label_map(checkpoint, last), self.dataset)
            method = checkpoint_cfg(checkpoint, last).SOLVER.OPTIMIZING_METHOD
            if method != cfg.SOLVER.OPTIMIZING_METHOD:
                raise UserError(
                    f"{last}: SOLVER.OPTIMIZING_METHOD was {method!r}, is now {cfg.SOLVER.OPTIMIZING_METHOD!r}; choose "
                    "another OUTPUT_DIR, or begin anew with TRAIN.AUTO_RESUME False"
                )
            load_all_weights(self.model, checkpoint["model_state"], last)
            self.optimizer.load_state_dict(checkpoint["optimizer_state"])
            torch.set_rng_state(checkpoint["rng_state"])
            self.epoch = checkpoint["epoch"] + 1
            logger.info("going on after epoch %d from %s", self.epoch, last)
        elif cfg.TRAIN.CHECKPOINT_FILE_PATH:
            weights = read_weights(cfg.TRAIN.CHECKPOINT_FILE_PATH)
            report = load_weights(self.model, weights.state)
            logger.info("%s, %s: %s", cfg.TRAIN.CHECKPOINT_FILE_PATH, weights, report)

    def _load_data(self) -> tuple[ActionDataset, DataLoader]:
        cfg = self.cfg
        spec = ClipSpec.from_config(cfg, max(cfg.DATA.TRAIN_JITTER_SCALES))
        samples = ActionDataset(
            self.dataset.keyframes(cfg.DATA.TRAIN_SPLIT),
            self.dataset.videos,
            spec,
            TrainTransform.from_config(cfg),
            cfg.RNG_SEED,
            Path(cfg.DATA.CACHE_DIR) if cfg.DATA.CACHE_DIR else None,
            self._misaligned_gap(),
        )
        samples.prepare(lambda videos: tqdm(videos, desc="decode clips", unit="video", disable=None))
        loader = DataLoader(
            samples,
            batch_size=cfg.TRAIN.BATCH_SIZE,
            sampler=_EpochSampler(samples, cfg.RNG_SEED),
            num_workers=cfg.TRAIN.NUM_WORKERS,
            collate_fn=Collate.from_config(cfg, spec),
            drop_last=len(samples) >= cfg.TRAIN.BATCH_SIZE,
            pin_memory=self.device.type == "cuda",
        )
        return samples, loader

    def _misaligned_gap(self) -> float | None:
        """Seconds between a clip's sound and its negative's; None where synchronisation is not trained."""
        if self.cfg.MODEL.MODEL_NAME != "AVSlowFast" or not any(self.cfg.SLOWFAST.AVS_FLAG):
            return None
        return self.cfg.DATA.AUDIO_MISALIGNED_GAP * self.cfg.DATA.AUDIO_STEP_SZ / 1000

    def run(self) -> Path:
        """Train until SOLVER.MAX_EPOCH; the last checkpoint's path.

        Raises:
            UserError: if the loss is no longer a number.
        """
        cfg = self.cfg
        parameters = sum(p.numel() for p in self.model.parameters())
        logger.info(
            "%d keyframes, %d classes, %.2f M parameters, on %s; learning rate %s",
            len(self.samples), cfg.MODEL.NUM_CLASSES, parameters / 1e6, self.device,
            describe_schedule(cfg, cfg.TRAIN.BATCH_SIZE),
        )  # fmt: skip
        steps = len(self.loader)
        total, done = cfg.SOLVER.MAX_EPOCH * steps, self.epoch * steps
        with tqdm(total=total, initial=done, desc="train", unit="batch", disable=None) as bar:
            while self.epoch < cfg.SOLVER.MAX_EPOCH:
                started = time.monotonic()
                means = self._train_epoch(bar)
                last = self.epoch + 1 == cfg.SOLVER.MAX_EPOCH
                if last or (self.epoch + 1) % cfg.TRAIN.CHECKPOINT_PERIOD == 0:
                    self._save()
                record = {"epoch": self.epoch + 1, **means, "seconds": round(time.monotonic() - started, 2)}
                if cfg.TRAIN.EVAL_PERIOD and (last or (self.epoch + 1) % cfg.TRAIN.EVAL_PERIOD == 0):
                    record["mAP"] = self._evaluate()
                with open(self.output / "log.jsonl", "a", encoding="utf-8") as log:
                    log.write(json.dumps(record) + "\n")
                self.epoch += 1
        return self.last

    def _train_epoch(self, bar: tqdm) -> dict[str, float]:
        """One pass over the samples; the mean of what each step gave."""
        self.model.train()
        self.samples.epoch = self.loader.sampler.epoch = self.epoch
        losses = []
        for step, batch in enumerate(self.loader):
            lr = lr_at(self.epoch + step / len(self.loader), self.cfg, self.cfg.TRAIN.BATCH_SIZE)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            values = self._step(batch.to(self.device))
            loss = values["loss"]
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at epoch {self.epoch + 1}, batch {step + 1}; lower SOLVER.BASE_LR "
                    f"(now {self.cfg.SOLVER.BASE_LR:g}); checkpoints up to epoch {self.epoch} are in {self.output}"
                )
            losses.append(values)
            bar.set_postfix(loss=f"{loss:.4f}", lr=f"{lr:.2g}", epoch=self.epoch + 1, refresh=False)
            bar.update()
        return {name: sum(values[name] for values in losses) / len(losses) for name in losses[0]}

    def _step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch; "loss", and "avs_loss" of that where synchronisation is trained."""
        cfg, inputs = self.cfg, (batch.slow, batch.fast, batch.audio, batch.boxes, batch.audio_present)
        avs_loss = 0.0
        with torch.autocast(self.device.type, torch.bfloat16, enabled=cfg.TRAIN.MIXED_PRECISION):
            if batch.misaligned is None:
                logits = self.model(*inputs)
            else:
                easy = easy_negatives(len(batch.slow), self.epoch, cfg.DATA.MIX_NEG_EPOCH, cfg.DATA.EASY_NEG_RATIO)
                negatives = choose_negatives(batch.misaligned, easy)
                logits, losses = self.model(*inputs, misaligned=negatives)
                avs_loss = sum(losses.values())
        # the mean over boxes and classes, or 0 where augmentation left no box
        loss = binary_cross_entropy_with_logits(logits.float(), batch.labels, reduction="sum")
        loss = loss / max(batch.labels.numel(), 1) + cfg.SLOWFAST.AVS_WEIGHT * avs_loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.cfg.SOLVER.CLIP_GRAD_L2NORM:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg.SOLVER.CLIP_GRAD_L2NORM)
        self.optimizer.step()
        values = {"loss": loss.item()}
        if batch.misaligned is not None:
            values["avs_loss"] = avs_loss.item()
        return values

    def _save(self) -> None:
        self.last = self.output / "checkpoints" / f"checkpoint_epoch_{self.epoch + 1:05d}.pyth"
        save_checkpoint(
            self.last,
            {
                "format": OURS,
                "epoch": self.epoch,
                "model_state": self.model.state_dict(),
                "optimizer_state": self.optimizer.state_dict(),
                "rng_state": torch.get_rng_state(),
                "cfg": self.cfg.dump(),
                "label_map": self.dataset.label_map.to_pbtxt(),
            },
        )

    def _evaluate(self) -> float:
        split = self.cfg.DATA.EVAL_SPLIT
        predictor = Predictor(self.model, self.cfg, self.dataset.label_map)
        result = evaluate_split(predictor, self.dataset, split, self.output / f"detections_{split}.csv")
        logger.info("epoch %d: mAP %.4f", self.epoch + 1, result.evaluation.mAP)
        return result.evaluation.mAP


class _EpochSampler(torch.utils.data.Sampler):
    """A permutation that follows from the seed and the epoch."""

    def __init__(self, samples: ActionDataset, seed: int) -> None:
        self._samples, self._seed, self.epoch = samples, seed, 0

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(len(self._samples), generator=generator).tolist())


def last_checkpoint(output: Path) -> Path | None:
    """The newest checkpoint of a training run's folder, or None."""
    return max((output / "checkpoints").glob("checkpoint_epoch_*.pyth"), default=None)
