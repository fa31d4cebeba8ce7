"""The page of `claims.py`: a table and a plot for each claim, of the runs that are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from claims_arms import (
    CLAIMS,
    CONFIG,
    DATASETS,
    SHARES,
    START_EPOCHS,
    STARTS,
    TRANSFER,
    TRANSFER_REMARK,
    VISUAL_EPOCHS,
    WAYS,
    Claim,
    Run,
    detection_run,
    transfer_run,
)
from matplotlib.figure import Figure

Results = Callable[[Run], dict | None]
"""What evaluation gave for a run; None if it is not done."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # of Okabe and Ito


def write_page(path: Path, results: Results, seeds: int, machine: str, claims: Sequence[str]) -> None:
    """Write the page, and its plots beside it.

    Args:
        path: of the page.
        results: of runs.
        seeds: how many of each arm.
        machine: what it was made on, in words.
        claims: which to write; a page that is there keeps its sections about others.
    """
    kept = _sections(path)
    scenes = ", ".join(f"{count} {split}" for split, count in DATASETS[0][2].items() if count)
    lines = [
        "# The paper's claims, tried",
        "",
        "Controlled experiments on [synthetic scenes](data.md#synthetic-scenes): every arm of a claim is trained with "
        "the same seeds, data and number of steps, and its last weights are evaluated on people, places and seeds that "
        "are in no training video. Numbers are mean ± standard deviation over as many seeds as the column says, and - "
        "where nothing is known yet; differences are of runs of the same seed. What small networks do on drawn people "
        "need not hold for large ones on Kinetics.",
        "",
        "```bash",
        f"python benchmarks/claims.py --folder claims --seeds {seeds} --page docs/claims.md",
        "```",
        "",
        f"Detection: {scenes} videos of 5 s, boxes of the ground truth, `configs/{CONFIG}.yaml`; all but Audio alone "
        f"start from a SlowFast that was trained for {VISUAL_EPOCHS} epochs with the seed. On {machine}.",
        "",
    ]
    lines = _filled(lines)
    for name in (*CLAIMS, "transfer"):
        claim = CLAIMS.get(name)
        heading = claim.text if claim else TRANSFER
        if name not in claims and heading in kept:
            lines += kept[heading]
            continue
        picture = path.with_name(f"claims_{name}.png")
        if claim:
            section, drawn = _claim(claim, results, seeds), _draw_claim(picture, claim, results, seeds)
        else:
            section, drawn = _transfer(results, seeds), _draw_transfer(picture, results, seeds)
        what = "mAP of each arm and seed" if claim else "top-1 accuracy by share of the labels"
        lines += _filled([*section, *([f"![{what}]({picture.name})", ""] if drawn else [])])
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _sections(path: Path) -> dict[str, list[str]]:
    """Heading -> its section's lines, with the heading and an empty last one; {} if there is no page yet."""
    sections = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.is_file() else []
    return {one.partition("\n")[0]: [*f"## {one}".rstrip().splitlines(), ""] for one in sections}


def _filled(lines: Iterable[str]) -> list[str]:
    return [line if line.startswith(("|", "!", "#")) else fill(line, 118) for line in lines]


def _claim(claim: Claim, results: Results, seeds: int) -> list[str]:
    first = _found(claim, 0, results, seeds)
    rows = []
    for number, arm in enumerate(claim.arms):
        found = _found(claim, number, results, seeds)
        both = sorted(found.keys() & first.keys()) if number else []
        change = _spread([_map(found[seed]) - _map(first[seed]) for seed in both], signed=True)
        heard, silent = (_spread([_map(one, state) for one in found.values()]) for state in ("heard", "silent"))
        rows.append((arm.name, str(len(found)), heard, silent, change if number else ""))
    header = ("arm", "seeds", "mAP", "with silent input", f"against {claim.arms[0].name}")
    return [f"## {claim.text}", "", claim.remark, "", *_table(header, rows), "", *_classes(claim, results, seeds)]


def _classes(claim: Claim, results: Results, seeds: int) -> list[str]:
    """AP of each class, of classes that some arm changes most first."""
    found = [_found(claim, number, results, seeds) for number in range(len(claim.arms))]
    if not all(found):
        return []
    names = list(next(iter(found[0].values()))["heard"]["AP"])
    values = {
        name: [
            [100 * one["heard"]["AP"][name] for one in arm.values() if one["heard"]["AP"][name] is not None]
            for arm in found
        ]
        for name in names
    }
    values = {name: row for name, row in values.items() if all(row)}
    order = sorted(values, key=lambda name: -np.ptp([np.mean(one) for one in values[name]]))
    rows = [(name, *(_spread(one, scale=1) for one in values[name])) for name in order]
    return [*_table(("AP of", *(arm.name for arm in claim.arms)), rows), ""]


def _transfer(results: Results, seeds: int) -> list[str]:
    found = {
        (start.name, way): [_accuracies(results, start, way, share, seeds) for share in SHARES]
        for way in WAYS
        for start in STARTS
    }
    rows = [(*names, *(_spread(values, scale=1) for values in cells)) for names, cells in found.items()]
    counts = sorted({len(values) for cells in found.values() for values in cells})
    header = ("features from", "then", *(f"{share:.0%} of the labels" for share in SHARES))
    clips, labelled = DATASETS[1][2]["train"], DATASETS[3][2]
    about = (
        f"Top-1 accuracy, %, of ten classes ({labelled['train']} clips to learn from, {labelled['val']} to test) after "
        f"{START_EPOCHS} epochs on {clips} other clips without labels, or with labels of their own in the last row; "
        f"{' to '.join(map(str, counts))} seed{'' if counts == [1] else 's'}."
    )
    if counts == [0]:
        rows, header = [], ()
    told = [TRANSFER_REMARK, "", about, "", *_table(header, rows)] if rows else [about, "", "Not run yet."]
    return [f"## {TRANSFER}", "", *told, ""]


def _found(claim: Claim, number: int, results: Results, seeds: int) -> dict[int, dict]:
    """Seed -> what evaluation gave."""
    found = {seed: results(detection_run(claim.arms[number], seed)) for seed in range(seeds)}
    return {seed: one for seed, one in found.items() if one}


def _accuracies(results: Results, start: object, way: str, share: float, seeds: int) -> list[float]:
    found = [results(transfer_run(start, way, share, seed)) for seed in range(seeds)]
    return [one["heard"]["top1"] for one in found if one]


def _map(found: dict, state: str = "heard") -> float:
    return 100 * found[state]["mAP"] if state in found else float("nan")


def _spread(values: Sequence[float], signed: bool = False, scale: int = 1) -> str:
    values = np.array([value for value in values if np.isfinite(value)]) * scale
    if not len(values):
        return "-"
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():{'+' if signed else ''}.1f}{spread}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _draw_claim(path: Path, claim: Claim, results: Results, seeds: int) -> bool:
    """Each seed a point, their mean a line; filled with sound, hollow with silent input. Whether there is anything."""
    figure = Figure(figsize=(8, 0.42 * len(claim.arms) + 1), layout="constrained")
    axes, any_found = figure.subplots(), False
    for y, _ in enumerate(claim.arms):
        found = _found(claim, y, results, seeds).values()
        for state, colour, face in (("silent", _COLOURS[1], "none"), ("heard", _COLOURS[0], _COLOURS[0])):
            values = [_map(one, state) for one in found if state in one]
            any_found |= bool(values)
            axes.scatter(values, [y] * len(values), s=28, edgecolors=colour, facecolors=face, zorder=3)
            if values:
                axes.plot([np.mean(values)] * 2, [y - 0.28, y + 0.28], color=colour, linewidth=1.6)
    axes.set_yticks(range(len(claim.arms)), [arm.name for arm in claim.arms])
    axes.set_ylim(len(claim.arms) - 0.5, -0.5)
    axes.set_xlabel("mAP, %: filled as it is, hollow with silent input")
    _tidy(axes)
    if any_found:
        figure.savefig(path, dpi=110)
    return any_found


def _draw_transfer(path: Path, results: Results, seeds: int) -> bool:
    figure, any_found = Figure(figsize=(9, 3.6), layout="constrained"), False
    panels = figure.subplots(1, len(WAYS), sharey=True)
    for axes, way in zip(panels, WAYS):
        for start, colour in zip(STARTS, _COLOURS):
            found = {share: _accuracies(results, start, way, share, seeds) for share in SHARES}
            found = {share: values for share, values in found.items() if values}
            any_found |= bool(found)
            means = [np.mean(values) for values in found.values()]
            spreads = [np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in found.values()]
            axes.errorbar(
                list(found), means, spreads, color=colour, marker="o", markersize=4, capsize=3, label=start.name
            )
        axes.set_xscale("log")
        axes.set_xticks(list(SHARES), [f"{share:.0%}" for share in SHARES])
        axes.set_xlabel("share of the labels")
        axes.set_title(way, loc="left", fontsize=11)
        _tidy(axes)
    panels[0].set_ylabel("top-1 accuracy, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    if any_found:
        figure.savefig(path, dpi=110)
    return any_found


def _tidy(axes: object) -> None:
    axes.grid(color="#e6e9ec")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
