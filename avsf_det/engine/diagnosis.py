"""Where a number that is none came from: the clips and the module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from avsf_det.data.batch import Batch

SHOWN = 4  # clips named


def explain(model: nn.Module, batches: Sequence[Batch], forward: Callable[[Batch], object]) -> str:
    """What is wrong with a step that gave no finite loss or gradient, in one line.

    The step is computed again; what DropPathway and dropout draw is not the same.

    Args:
        model: the model, with its gradients.
        batches: of the step.
        forward: computes the losses of one of them.
    """
    broken = [name for name, p in model.named_parameters() if not p.isfinite().all()]
    if broken:
        return f"the weights {broken[0]} are no numbers already"
    for batch in batches:
        for name, clips in _inputs(batch):
            return f"the input {name} of {_some(clips)}"
        with _first_broken_output(model) as found, torch.no_grad():
            forward(batch)
        if found:
            name, output = found[0]
            clips = batch.clips
            if len(output) == len(clips):
                clips = [clip for clip, row in zip(clips, output) if not row.isfinite().all()]
            return f"the output of module {name} for {_some(clips)}"
    gradients = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    where = f"the gradient of {gradients[0]}" if gradients else "the loss"
    return f"{where}, of a batch with {_some([clip for batch in batches for clip in batch.clips])}"


def _inputs(batch: Batch) -> Iterable[tuple[str, list]]:
    """The inputs that hold numbers that are none, and their clips."""
    for name in ("fast", "audio", "misaligned"):
        tensor = getattr(batch, name)
        if tensor is not None and not tensor.isfinite().all():
            yield name, [clip for clip, row in zip(batch.clips, tensor) if not row.isfinite().all()]


@contextmanager
def _first_broken_output(model: nn.Module) -> Iterator[list[tuple[str, torch.Tensor]]]:
    """A list that holds the name and output of the first innermost module whose output is not finite."""
    found: list[tuple[str, torch.Tensor]] = []

    def look(name: str) -> Callable:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if not found and isinstance(output, torch.Tensor) and not output.isfinite().all():
                found.append((name, output))

        return hook

    leaves = [(name, module) for name, module in model.named_modules() if not any(module.children())]
    handles = [module.register_forward_hook(look(name)) for name, module in leaves]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _some(clips: Sequence[tuple[str, float]]) -> str:
    names = ", ".join(f"{video} at {time:g} s" for video, time in clips[:SHOWN])
    return f"clip{'s' * (len(clips) > 1)} {names}" + (f" and {len(clips) - SHOWN} more" if len(clips) > SHOWN else "")
