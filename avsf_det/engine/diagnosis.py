"""Where a number that is none came from: the clips and the module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from avsf_det.data.batch import Batch
from avsf_det.engine.sharding import whole

SHOWN = 4  # clips named


def explain(model: nn.Module, batches: Sequence[Batch], forward: Callable[[Batch], object]) -> str:
    """What is wrong with a step that gave no finite loss or gradient, in one line.

    The step is computed again, in every process, for they may have to wait for each other in it; what DropPathway and
    dropout draw is not the same.

    Args:
        model: the model, with its gradients.
        batches: of the step.
        forward: computes the losses of one of them.
    """
    found = [f"the weights {name} are no numbers already" for name, p in model.named_parameters() if _broken(p)][:1]
    for batch in batches:
        found += [f"the input {name} of {_some(clips)}" for name, clips in _inputs(batch)]
        with _first_broken_output(model) as outputs, torch.no_grad():
            forward(batch)
        for name, output in outputs:
            clips = batch.clips
            if len(output) == len(clips):
                clips = [clip for clip, row in zip(clips, output) if _broken(row)]
            found.append(f"the output of module {name} for {_some(clips)}")
    gradients = [name for name, p in model.named_parameters() if p.grad is not None and _broken(p.grad)]
    where = f"the gradient of {gradients[0]}" if gradients else "the loss"
    found.append(f"{where}, of a batch with {_some([clip for batch in batches for clip in batch.clips])}")
    return found[0]


def _broken(tensor: torch.Tensor) -> bool:
    return not whole(tensor.detach().isfinite().all())


def _inputs(batch: Batch) -> Iterable[tuple[str, list]]:
    """The inputs that hold numbers that are none, and their clips."""
    for name in ("fast", "audio", "misaligned"):
        tensor = getattr(batch, name)
        if tensor is not None and _broken(tensor):
            yield name, [clip for clip, row in zip(batch.clips, tensor) if _broken(row)]


@contextmanager
def _first_broken_output(model: nn.Module) -> Iterator[list[tuple[str, torch.Tensor]]]:
    """A list that holds the name and output of the first innermost module whose output is not finite."""
    found: list[tuple[str, torch.Tensor]] = []

    def look(name: str) -> Callable:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if not found and isinstance(output, torch.Tensor) and _broken(output):
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
