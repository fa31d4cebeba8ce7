"""How fast the network is in each of its modes, what each does to the scores, and what activation checkpointing saves.

    python benchmarks/model_forward.py                                      # AVSlowFast 4x16 R50, 224 pixels, one clip
    python benchmarks/model_forward.py --config ava/avslowfast_8x8_r50 --size 256 --clips 8
    python benchmarks/model_forward.py --only plain,inference               # some modes

All modes take turns, round by round, so that a machine that slows down slows all of them; ratios are medians over the
rounds. The modes:

    plain          the model as it is, float32 (what a loop around a PyTorch model does)
    channels-last  the same, weights and clips laid out channels last
    autocast       the same under bfloat16 autocast
    inference      avsf_det.models.inference.InferenceModel: norms folded, best layout, float32
    inference-bf16 ... in bfloat16
    compiled, compiled-bf16   ... and through torch.compile, which takes a minute or so first

Weights are random, but norms have the statistics of what they see, residual branches end small, and logits have a
standard deviation of 2, as a trained model's may.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from avsf_det.config import load_cfg
from avsf_det.models.build import build_model, example_inputs
from avsf_det.models.inference import InferenceModel

INFERENCE = {
    "inference": {},
    "inference-bf16": {"precision": "bfloat16"},
    "compiled": {"compiled": True},
    "compiled-bf16": {"precision": "bfloat16", "compiled": True},
}
MODES = ("plain", "channels-last", "autocast", *INFERENCE)
STAGES = ["s1", "s2", "s3", "s4", "s5"]


def settle(model: nn.Module, inputs: dict) -> None:
    """Give norms the statistics of what they see, residual branches a say of their own, and logits a spread."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    ends = {module.last_bn for module in model.modules() if hasattr(module, "last_bn")}
    for norm in norms:
        nn.init.uniform_(norm.weight, *((0.1, 0.3) if norm in ends else (0.5, 1.5)))
        norm.momentum = 1.0
    model.train()
    model(**inputs)
    model.eval()
    for norm in norms:
        norm.momentum = 0.1
    logits = model(**inputs)
    model.head.projection.weight *= 2 / logits.std()


def make(mode: str, model: nn.Module, inputs: dict) -> Callable[[], torch.Tensor]:
    """A function that runs one mode."""
    if mode in INFERENCE:
        ready = InferenceModel(model, **INFERENCE[mode])
        return lambda: ready(**inputs)
    if mode == "plain":
        return lambda: model(**inputs)
    layout = torch.channels_last_3d
    laid = copy.deepcopy(model).to(memory_format=layout)
    clips = inputs | {name: inputs[name].contiguous(memory_format=layout) for name in ("slow", "fast")}

    def run() -> torch.Tensor:
        with torch.autocast(clips["slow"].device.type, torch.bfloat16, enabled=mode == "autocast"):
            return laid(**clips)

    return run


def clock(run: Callable, device: torch.device) -> float:
    """Seconds of one run."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def kept_bytes(cfg: object, inputs: dict, checkpointed: list[str]) -> int:
    """Bytes of activations that a training step keeps for its backward pass."""
    cfg = cfg.clone()
    cfg.MODEL.ACT_CHECKPOINT = checkpointed
    model = build_model(cfg).to(inputs["slow"].device).train()
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(**inputs)
    del output
    return sum(kept.values())


def training_step(cfg: object, inputs: dict, checkpointed: list[str]) -> Callable[[], None]:
    """A function that runs forward and backward."""
    cfg = cfg.clone()
    cfg.MODEL.ACT_CHECKPOINT = checkpointed
    model = build_model(cfg).to(inputs["slow"].device).train()
    return lambda: model(**inputs).sum().backward()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="kinetics/avslowfast_4x16_r50_release")
    parser.add_argument("--size", type=int, default=224, help="pixels of the clips' sides")
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--boxes", type=int, default=4, help="persons in all, for models that detect")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default=",".join(MODES), help="modes, separated by commas")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    cfg = load_cfg(options.config)
    cfg.SLOWFAST.DROPPATHWAY_RATE = 0.0
    inputs = example_inputs(cfg, options.size, options.clips, options.boxes)
    inputs = {name: tensor if tensor is None else tensor.to(device) for name, tensor in inputs.items()}
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{options.threads} threads"
    print(f"{options.config}, {options.clips} clip(s) of {options.size} pixels, torch {torch.__version__}, {name}\n")

    with torch.no_grad():
        model = build_model(cfg).to(device)
        settle(model, inputs)
        expected = model.scores(model(**inputs))
        runs, seconds, differences = {}, {}, {}
        for mode in [mode for mode in MODES if mode in options.only.split(",")]:
            runs[mode], seconds[mode] = make(mode, model, inputs), []
            logits = runs[mode]()
            differences[mode] = (model.scores(logits.float()) - expected).abs().max().item()
            runs[mode]()
        for _ in range(options.rounds):
            for mode, run in runs.items():
                seconds[mode].append(clock(run, device))
    print(f"{'mode':15} {'ms, median':>11} {'plain / mode':>13} {'scores differ by up to':>24}")
    base = seconds.get("plain") or next(iter(seconds.values()))
    for mode, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(base, times))
        print(f"{mode:15} {1000 * statistics.median(times):11.1f} {ratio:12.2f}x {differences[mode]:24.2e}")

    print("\ntraining: activations kept for the backward pass, and time, by the stages in MODEL.ACT_CHECKPOINT")
    cases = {"none": [], "s1 s2": STAGES[:2], "s1 s2 s3": STAGES[:3], "all": STAGES}
    steps = {case: training_step(cfg, inputs, stages) for case, stages in cases.items()}
    times = {case: [] for case in cases}
    for _ in range(1 + max(1, options.rounds // 2)):
        for case, step in steps.items():
            times[case].append(clock(step, device))
    whole = kept_bytes(cfg, inputs, [])
    for case, stages in cases.items():
        share = kept_bytes(cfg, inputs, stages) / whole
        slower = statistics.median(b / a for a, b in zip(times["none"][1:], times[case][1:]))
        print(f"{case:15} {share * whole / 2**20:8.0f} MiB {share:8.2f}x the memory {slower:8.2f}x the time")


if __name__ == "__main__":
    main()
