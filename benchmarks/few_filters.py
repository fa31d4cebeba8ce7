"""Fast's conv1 on a CPU as it is and as `FewFilters` computes it: forward, and forward and backward.

python benchmarks/few_filters.py
python benchmarks/few_filters.py --bfloat16  # as mixed precision trains on processors that have it

Both take turns, round by round; the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from avsf_det.models.pathways import FewFilters

CASES = (
    ("half the small model, 8 clips of 72 pixels", 2, 16, 72, 8),
    ("small model, 8 clips of 72 pixels", 4, 16, 72, 8),
    ("4x16 R50, a clip of 224 pixels", 8, 32, 224, 1),
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bfloat16", action="store_true", help="under autocast")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads\n")
    print("| | filters | forward ms | plain / this | forward and backward ms | plain / this |")
    print("|---|---|---|---|---|---|")
    for name, filters, frames, size, clips in CASES:
        ours = FewFilters(3, filters, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        x, ways = torch.randn(clips, 3, frames, size, size), (nn.Conv3d.forward, FewFilters.forward)
        cells = [name, str(filters)]
        for backward in (False, True):
            with torch.autocast("cpu", enabled=options.bfloat16):
                seconds = [[clock(way, ours, x, backward) for way in ways] for _ in range(options.rounds + 1)][1:]
            plain, this = zip(*seconds)
            ratio = statistics.median(a / b for a, b in seconds)
            cells += [f"{1000 * statistics.median(plain):.0f} -> {1000 * statistics.median(this):.0f}", f"{ratio:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def clock(way: object, conv: nn.Conv3d, x: torch.Tensor, backward: bool) -> float:
    """Seconds of one way."""
    began = time.perf_counter()
    with torch.set_grad_enabled(backward):
        y = way(conv, x)
        if backward:
            y.backward(torch.ones_like(y))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
