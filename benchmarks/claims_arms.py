"""What `claims.py` compares: the arms of each claim, and the runs that they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CONFIG = "scenes/avslowfast_claims"
SCENES = {"train": 300, "val": 60, "test": 0}
CLIPS = 1000  # to learn from without labels, and as many others with
LABELLED = {"train": 500, "val": 200, "test": 0}
DATASETS = (
    ("scenes", "ava", SCENES),
    ("unlabelled", "unlabelled", {"train": CLIPS}),
    ("labelled_start", "kinetics", {"train": CLIPS, "val": 0, "test": 0}),
    ("labelled", "kinetics", LABELLED),
)
"""Folder, layout and videos of each; the number of its row is its seed, so that nobody is in two."""
RES5, RES345 = [False] * 4 + [True], [False, False, True, True, True]


@dataclass(frozen=True)
class Arm:
    """One way to train: its name in tables, and the keys that make it what it is."""

    name: str
    keys: dict[str, object] = field(default_factory=dict, hash=False)


def _avs(loss: str, flags: list[bool], weight: float) -> Arm:
    where = "res5" if flags == RES5 else "res3 to res5"
    keys = {"SLOWFAST.AVS_FLAG": flags, "SLOWFAST.AVS_LOSS": loss, "SLOWFAST.AVS_WEIGHT": weight}
    return Arm(f"{loss} x {weight:g}, {where}", keys)


BASE = Arm("AVSlowFast")
AUDIO = Arm("Audio alone", {"MODEL.MODEL_NAME": "Audio"})
VISUAL = Arm("SlowFast", {"MODEL.MODEL_NAME": "SlowFast"})


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, what is compared to see whether it holds, and what came of it.

    The first arm is what others differ from.
    """

    text: str
    arms: tuple[Arm, ...]
    remark: str


CLAIMS = {
    "sound": Claim(
        "Sound helps detection, and where",
        (VISUAL, BASE, AUDIO),
        "It does, and all of it on the classes that look like another. Sound alone tells neither who does it nor what "
        "is silent. A model that has learned to listen loses nothing where it hears nothing: norms behind an audio "
        "lateral have statistics of their own for clips without sound.",
    ),
    "fusion": Claim(
        "Fusion at several layers beats late fusion",
        (
            Arm("pool5 alone", {"SLOWFAST.AFS_FUSION": [False] * 4}),
            BASE,
            Arm("res3 and pool5", {"SLOWFAST.AFS_FUSION": [False, False, True, False]}),
            Arm("res4 and pool5", {"SLOWFAST.AFS_FUSION": [False, False, False, True]}),
            Arm("A→F→S", {"SLOWFAST.AU_FUSION": "audio_to_fast_to_slow"}),
            Arm("AV non-local", {"SLOWFAST.AU_FUSION": "audiovisual_non_local"}),
            Arm("channel attention", {"SLOWFAST.AU_FUSION": "channel_attention"}),
        ),
        "Not seen: all ways but one are as good as sound that joins in the head alone, within what seeds differ by; "
        "audiovisual non-local is lower. Two people swing bells by turns of two or three seconds, so that for most of "
        "every clip of 2.1 s one swings alone, and late fusion is enough. Two harder kinds of scenes were tried with "
        "one seed, AVSlowFast and pool5 alone: with turns of a second AP of the bells was 55 and 52, and 56 and 52; "
        "with both swinging at once 51 and 50, and 49 and 51. That is chance: neither way learns it in these epochs.",
    ),
    "droppathway": Claim(
        "DropPathway is what makes joint training work",
        (
            Arm("P = 0", {"SLOWFAST.DROPPATHWAY_RATE": 0.0}),
            BASE,
            *(Arm(f"P = {rate:g}", {"SLOWFAST.DROPPATHWAY_RATE": rate}) for rate in (0.5, 0.8)),
            VISUAL,
        ),
        "Not seen: within these few epochs, from weights that see already, nothing is overfitted, and the more sound "
        "is dropped, the less is learned of it. Silent input costs nothing without DropPathway either. From scratch, "
        "where the paper sees it, four epochs at this width learn too little to tell.",
    ),
    "avs": Claim(
        "AVS adds, on the class where only timing tells who makes the sound above all",
        (
            BASE,
            _avs("margin", RES345, 1.0),
            *(_avs(loss, flags, 0.1) for loss in ("margin", "infonce") for flags in (RES5, RES345)),
        ),
        "Not seen: beside a loss of boxes, a mean over classes most of which do not hold, it takes more than it gives, "
        "and nothing is gained on the bells. Least is lost with the margin and a tenth of its weight, more with "
        "InfoNCE, most with the weight of 1.",
    ),
}
TRANSFER = "Features learned without labels transfer"
TRANSFER_REMARK = (
    "Those of synchronisation do: a linear probe on them is right 18 to 20 points more often than on random features "
    "in the mean, and more often with every seed. Fine-tuned, they help as much where there are 10 clips with labels "
    "(a hundredth), and no more than the spread where there are 50 or 500. Rotation beside synchronisation does not "
    "help: its probe is 4 to 15 points below synchronisation alone. Labels of other clips are worth far more."
)
WITHOUT_LABELS = {"DATA.ROOT": "unlabelled", "TRAIN.DATASET": "unlabelled", "TASK": "ssl", "SLOWFAST.AVS_FLAG": RES345}
STARTS = (
    Arm("random"),
    Arm("AVS", {**WITHOUT_LABELS, "PRETRAIN.ROTATION": False}),
    Arm("AVS and rotation", {**WITHOUT_LABELS, "PRETRAIN.ROTATION": True}),
    Arm("labels", {"DATA.ROOT": "labelled_start"}),
)
"""How features are learned before they are transferred."""
WAYS = {
    "linear probe": {"MODEL.DETACH_FINAL_FC": True, "SOLVER.BASE_LR": 0.02, "SOLVER.WARMUP_EPOCHS": 0.0},
    "fine-tuning": {},
}
SHARES = {0.01: 20, 0.1: 10, 1.0: 3}
"""Share of the labels -> epochs."""
OF_CLIPS = {
    "DETECTION.ENABLE": False,
    "RESNET.SPATIAL_STRIDES": [1, 2, 2, 2],
    "DATA.TRAIN_JITTER_SCALES": [72, 84],
    "DATA.TRAIN_CROP_SIZE": 72,
}
"""What makes of the network for boxes one for whole clips."""
START_EPOCHS = 4
VISUAL_EPOCHS = 8  # of the SlowFast that arms of detection start from


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        name: its folder's, under `runs`.
        seed: of weights, order and augmentation.
        keys: KEY -> VALUE; DATA.ROOT is a folder of `DATASETS`.
        start: the run whose weights it starts from.
    """

    name: str
    seed: int
    keys: dict[str, object] = field(hash=False)
    start: Run | None = None

    @property
    def hears(self) -> bool:
        """Whether it is evaluated with sound and without: a model that hears, of boxes."""
        return "MODEL.MODEL_NAME" not in self.keys and "DETECTION.ENABLE" not in self.keys

    @property
    def name_and_seed(self) -> str:
        """What tells it from others."""
        return re.sub(r"[^\w.]+", "_", f"{self.name} {self.seed}")

    def output(self, folder: Path) -> Path:
        """Where all of it is kept."""
        return folder / "runs" / self.name_and_seed


def detection_run(arm: Arm, seed: int) -> Run:
    """The run of an arm of `CLAIMS`; it starts from what a SlowFast has learned, as models for AVA do from Kinetics."""
    keys = {"DATA.ROOT": "scenes", **VISUAL.keys, "SOLVER.BASE_LR": 0.004, "SOLVER.MAX_EPOCH": VISUAL_EPOCHS}
    start = None if arm is AUDIO else Run("start SlowFast", seed, keys)
    return Run(arm.name, seed, {"DATA.ROOT": "scenes", **arm.keys}, start)


def transfer_run(start: Arm, way: str, share: float, seed: int) -> Run:
    """The run that puts the features of one of `STARTS` to use."""
    before = None
    if start.keys:
        keys = {**OF_CLIPS, "SOLVER.MAX_EPOCH": START_EPOCHS, "DATA.MIX_NEG_EPOCH": START_EPOCHS // 2, **start.keys}
        before = Run(f"start {start.name}", seed, keys)
    keys = {**OF_CLIPS, "DATA.ROOT": "labelled", "DATA.TRAIN_SHARE": share, "SOLVER.MAX_EPOCH": SHARES[share]}
    return Run(f"{start.name} {way} {share:g}", seed, {**keys, **WAYS[way]}, before)


def runs_of(claim: str, seed: int) -> Iterator[Run]:
    """All runs of a claim with a seed."""
    if claim != "transfer":
        yield from (detection_run(arm, seed) for arm in CLAIMS[claim].arms)
        return
    for start in STARTS:
        for way in WAYS:
            yield from (transfer_run(start, way, share, seed) for share in SHARES)
