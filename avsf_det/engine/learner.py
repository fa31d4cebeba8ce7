"""One training step: a model, its optimizer, mixed precision, several micro-batches and several processes."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from yacs.config import CfgNode

from avsf_det import distributed
from avsf_det.data.batch import Batch
from avsf_det.engine.device import is_fast_in_bfloat16
from avsf_det.engine.diagnosis import explain
from avsf_det.engine.precise_bn import average_buffers
from avsf_det.engine.schedule import build_optimizer, match_optimizer_state, parameter_names
from avsf_det.engine.sharding import shard, shard_optimizer_state, whole
from avsf_det.engine.training_data import synchronises
from avsf_det.errors import UserError
from avsf_det.models.avslowfast import Scores
from avsf_det.models.build import build_model
from avsf_det.models.freezing import thaw
from avsf_det.models.synchronisation import assign_negatives, easy_fraction

logger = logging.getLogger(__name__)

Criterion = Callable[[Scores, torch.Tensor], torch.Tensor]
"""What a model returned and labels (N, K) to the sum of their losses over boxes or clips."""


class NotFinite(Exception):
    """A step gave a loss or a gradient that is no number; the weights are as before it."""


class Learner:
    """A model that learns from batches.

    The processes of a group each learn from clips of their own and then take the same step, that of the mean over all
    boxes, or clips, of all of them. Batch norms that are not synchronised see a process's own clips.

    Args:
        cfg: the configuration.
        device: where to compute.
        criterion: the loss.
        load: called with the model before it is handed out to the processes, to fill it with weights. It returns the
            names of the tensors that were loaded; what was not is not frozen.
    """

    def __init__(
        self, cfg: CfgNode, device: torch.device, criterion: Criterion, load: Callable[[nn.Module], Collection[str]]
    ) -> None:
        self.cfg, self.device, self._criterion, self._dtype = cfg, device, criterion, _dtype(cfg)
        slow = device.type == "cpu" and self._dtype == torch.bfloat16 and not is_fast_in_bfloat16(device)
        self._mixed = cfg.TRAIN.MIXED_PRECISION and not slow
        if cfg.TRAIN.MIXED_PRECISION and slow:
            logger.info("computing in float32: this CPU has no bfloat16 instructions and is slower emulating them")
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = cfg.DATA.TRAIN_CROP_SIZE > 0  # pays where clips have one size
        self._synchronises, self._warned = synchronises(cfg), False
        self.model = build_model(cfg).to(device, memory_format=torch.channels_last_3d)
        loaded = set(load(self.model))
        self.thawed = thaw(self.model, [name for name in self.model.state_dict() if name not in loaded])
        if cfg.TRAIN.COMPILE:
            self.model.backbone.compile()
        self._network = self._join()
        self.optimizer = build_optimizer(self.model, cfg, cfg.TRAIN.BATCH_SIZE)
        scaled = self._mixed and self._dtype == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=scaled)

    def _join(self) -> nn.Module:
        """The model as the processes share it."""
        if self.cfg.TRAIN.SHARDED:
            if self._dtype == torch.float16 and self.cfg.TRAIN.MIXED_PRECISION:
                raise UserError(
                    "TRAIN.SHARDED goes with bfloat16, not float16; set TRAIN.MIXED_PRECISION_DTYPE bfloat16"
                )
            if not torch.distributed.is_initialized():
                raise UserError("TRAIN.SHARDED is for several processes; start it with torchrun, or set it to False")
            shard(self.model, self.device)
            return self.model
        if distributed.world_size() == 1:
            return self.model
        devices = [self.device] if self.device.type == "cuda" else None
        # strides of kernels of one pixel are ambiguous, and newer versions have another name for broadcast_buffers
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(self.model, device_ids=devices, broadcast_buffers=False)

    @property
    def in_lockstep(self) -> bool:
        """Whether forward passes wait for each other, so that all processes must run as many micro-batches."""
        return distributed.world_size() > 1 and (self.cfg.TRAIN.SHARDED or self.cfg.BN.NORM_TYPE == "sync_batchnorm")

    @contextmanager
    def _gradients_sent(self, last: bool) -> Iterator[None]:
        """The processes' gradients are put together with the last micro-batch's."""
        if self.cfg.TRAIN.SHARDED:
            self.model.set_requires_gradient_sync(last)
        with nullcontext() if last or self._network is self.model else self._network.no_sync():
            yield

    def step(self, batches: Sequence[Batch], rows: Mapping[bool, int], epoch: int, lr: float) -> dict[str, float]:
        """Learn from some micro-batches as from one batch.

        Args:
            batches: on the device, at least one and none of them without clips; how many may differ from process to
                process unless they run `in_lockstep`.
            rows: how many boxes (False) and labelled clips (True) all processes have in this step.
            epoch: complete epochs, for the curriculum of synchronisation's negatives.
            lr: the learning rate.

        Returns:
            "loss", "grad_norm", and "avs_loss" where synchronisation is trained; the losses are this process's part,
            whose mean over the processes is that of all boxes or clips.

        Raises:
            NotFinite: if the loss, or the gradient, is not finite in any process.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        losses, negatives = [], self._negatives(batches, epoch)
        for number, batch in enumerate(batches, 1):
            with self._gradients_sent(last=number == len(batches)):
                action_loss, avs_loss = self.losses(batch, epoch, negatives[number - 1])
                avs_loss = self.cfg.SLOWFAST.AVS_WEIGHT * avs_loss / len(batches)
                share = max(rows[batch.whole], 1) / distributed.world_size()
                loss = action_loss / share + avs_loss
                self.scaler.scale(loss).backward()
            losses.append(torch.stack((loss.detach(), torch.as_tensor(avs_loss, device=loss.device).detach())))
        self.scaler.unscale_(self.optimizer)
        norm = self._clip()
        loss, avs_loss, norm = torch.stack((*torch.stack(losses).sum(0), norm)).tolist()
        if distributed.add([not self._good(loss, norm)])[0]:
            self.scaler.update(self.scaler.get_scale())  # ends the step; its scale is not to blame
            given = {id(batch): one for batch, one in zip(batches, negatives)}
            about = explain(self.model, batches, lambda batch: self.losses(batch, epoch, given[id(batch)]))
            _, about = min(distributed.gather((math.isfinite(loss), about)))  # of a process whose own loss is broken
            raise NotFinite(f"loss {loss:g}, norm of the gradient {norm:g}: {about}")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        values = {"loss": loss, "grad_norm": norm}
        return values | ({"avs_loss": avs_loss} if self._synchronises else {})

    def losses(
        self, batch: Batch, epoch: int, negatives: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """The sum of the actions' losses over a batch's boxes or clips, and synchronization's loss.

        Args:
            batch: on the device.
            epoch: as of `step`.
            negatives: (B, 1, 1, A, M), of synchronization; None chooses them from the batch.
        """
        boxes = None if batch.whole else batch.boxes
        inputs = (batch.slow, batch.fast, batch.audio, boxes, batch.audio_present)
        avs_loss = 0.0
        with torch.autocast(self.device.type, self._dtype, enabled=self._mixed):
            if not self._synchronises:
                logits = self._network(*inputs)
            else:
                # in every process and step, or DDP would wait for gradients that do not come
                misaligned = self._negatives([batch], epoch)[0] if negatives is None else negatives
                logits, losses = self._network(*inputs, misaligned=misaligned)
                avs_loss = sum(losses.values())
        return self._criterion(logits, batch.labels), avs_loss

    def _negatives(self, batches: Sequence[Batch], epoch: int) -> list[torch.Tensor | None]:
        """Of each micro-batch of a step the negatives of synchronization, zeros where there is none."""
        if not self._synchronises:
            return [None] * len(batches)
        hard = [torch.zeros_like(b.audio) if b.misaligned is None else b.misaligned for b in batches]
        has_hard = [one.flatten(1).any(dim=1).tolist() for one in hard]
        has_audio = [batch.audio_present.tolist() for batch in batches]
        videos = [[video for video, _ in batch.clips] for batch in batches]
        fraction = easy_fraction(epoch, self.cfg.DATA.MIX_NEG_EPOCH, self.cfg.DATA.EASY_NEG_RATIO)
        assigned = assign_negatives(videos, has_hard, has_audio, fraction)
        self._warn_of_missing(assigned, has_audio)
        negatives = [torch.zeros_like(batch.audio) for batch in batches]
        for rows, chosen in zip(negatives, assigned):
            for row, source in zip(rows, chosen):
                if source is not None:
                    b, i = source
                    row.copy_(hard[b][i] if has_hard[b][i] else batches[b].audio[i])
        return negatives

    def _warn_of_missing(self, assigned: Sequence[Sequence[object]], has_audio: Sequence[Sequence[bool]]) -> None:
        """Log once if clips with audio have no negative."""
        flags = [(one is None, audio) for pair in zip(assigned, has_audio) for one, audio in zip(*pair)]
        missing = sum(none and audio for none, audio in flags)
        if missing and not self._warned:
            self._warned = True
            logger.warning(
                "%d of %d clips of a step have no negative for synchronization and do not count in its loss: no other "
                "video with audio is among the clips that a process learns from in the step; raise TRAIN.BATCH_SIZE",
                missing,
                len(flags),
            )

    def _clip(self) -> torch.Tensor:
        """The gradient's norm, before it is clipped where that is asked for."""
        parameters = list(self.model.parameters())
        norm = whole(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        if self.cfg.SOLVER.CLIP_GRAD_L2NORM:
            nn.utils.clip_grads_with_norm_(parameters, self.cfg.SOLVER.CLIP_GRAD_L2NORM, norm)
        return norm

    def _good(self, loss: float, norm: float) -> bool:
        """Whether a step can be taken, or is one whose gradient overflows while the scale of float16 is sought."""
        seeking = self.scaler.is_enabled() and self.scaler.get_scale() > 1
        return math.isfinite(loss) and (math.isfinite(norm) or seeking)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it; to be called by every process."""
        with self.shared_statistics():
            model = whole(self.model.state_dict())
        optimizer = whole(self.optimizer.state_dict())
        return {
            "model_state": model,
            "optimizer_state": optimizer,
            "optimizer_names": parameter_names(self.model, self.optimizer),
            "thawed": self.thawed,
            "scaler_state": self.scaler.state_dict(),
        }

    def load_state(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Take the optimizer's and the scaler's state from a checkpoint; the model's is loaded when it is made.

        Raises:
            UserError: if the optimizer's state is of other parameters.
        """
        state = match_optimizer_state(self.model, self.optimizer, checkpoint, path)
        self.optimizer.load_state_dict(shard_optimizer_state(self.optimizer, state))
        if self.scaler.is_enabled() and checkpoint["scaler_state"]:
            self.scaler.load_state_dict(checkpoint["scaler_state"])

    def whole_model(self) -> nn.Module:
        """The model with all of its weights in this process."""
        if not self.cfg.TRAIN.SHARDED:
            return self.model
        model = build_model(self.cfg).to(self.device)
        model.load_state_dict(whole(self.model.state_dict()))
        return model

    @contextmanager
    def shared_statistics(self) -> Iterator[None]:
        """While the block lasts, running statistics are the mean over the processes, which evaluation and files take.

        Each process then goes on with its own, so that looking at a model does not change what becomes of it.
        """
        if distributed.world_size() == 1:
            yield
            return
        own = self.statistics()
        average_buffers(self.model)
        try:
            yield
        finally:
            self.load_statistics(own)

    def statistics(self) -> dict[str, torch.Tensor]:
        """The running statistics of this process."""
        return {name: buffer.clone() for name, buffer in self.model.named_buffers()}

    def load_statistics(self, statistics: dict[str, torch.Tensor]) -> None:
        """Take over running statistics."""
        for name, buffer in self.model.named_buffers():
            buffer.copy_(statistics[name])


def _dtype(cfg: CfgNode) -> torch.dtype:
    dtypes = {"bfloat16": torch.bfloat16, "float16": torch.float16}
    name = cfg.TRAIN.MIXED_PRECISION_DTYPE
    if name not in dtypes:
        raise UserError(f"TRAIN.MIXED_PRECISION_DTYPE: got {name!r}, expected one of {', '.join(dtypes)}")
    return dtypes[name]
