"""The paper's claims as controlled experiments on synthetic scenes: several seeds, mean and spread, as a page.

python benchmarks/claims.py --folder claims                             # all of it: some hours on two cores
python benchmarks/claims.py --folder claims --claims sound droppathway  # some claims
python benchmarks/claims.py --folder claims --runs 0 --page docs/claims.md  # the page, of what there is

The page's numbers lie beside it (docs/claims.json), and what they tell of is not run again: a folder that was lost, or
another machine, goes on where they end.

Every arm is trained by `avsf-det train` with the same seeds and for as long as every other one, and the weights of its
last epoch are evaluated on scenes whose people, places and seeds are in no training video. All is kept
in the folder: what was stopped goes on, and what is done is not done again. `claims_arms.py` says what is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from claims_arms import CLAIMS, CONFIG, DATASETS, Run, runs_of
from claims_page import write_page
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
NAMES = [*CLAIMS, "transfer"]
TOLD = ("mAP", "AP", "top1")  # of an evaluation, in the page


def main() -> None:
    """Make what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for datasets, runs and results; kept")
    parser.add_argument("--claims", nargs="*", default=NAMES, choices=NAMES, help="which (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="of each arm (default: 3)")
    parser.add_argument("--runs", type=int, help="make at most so many that are missing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once, of one thread each (default: cores)")
    parser.add_argument("--page", type=Path, help="write the sections of these claims here, plots beside it")
    options = parser.parse_args()
    numbers = options.page and options.page.with_suffix(".json")
    known = json.loads(numbers.read_text()) if numbers and numbers.is_file() else {}
    laboratory = Laboratory(options.folder.resolve(), known)
    runs = dict.fromkeys(
        run for seed in range(options.seeds) for claim in options.claims for run in runs_of(claim, seed)
    )
    missing = list(islice((run for run in runs if laboratory.result(run) is None), options.runs))
    starts = dict.fromkeys(run.start for run in missing if run.start)
    for name in dict.fromkeys(str(run.keys["DATA.ROOT"]) for run in [*starts, *missing]):
        laboratory.make_dataset(name)
    with ThreadPoolExecutor(options.jobs) as pool:
        under_way = []
        for seed in range(options.seeds):
            under_way += [pool.submit(laboratory.weights, run) for run in starts if run.seed == seed]
            under_way += [pool.submit(laboratory.evaluate, run) for run in missing if run.seed == seed]
        try:
            for done in tqdm(as_completed(under_way), "runs", len(under_way), unit="run"):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if options.page:
        machine = f"{os.cpu_count()} processors ({platform.machine()}), torch {torch.__version__}, a thread a run"
        found = {run.name_and_seed: laboratory.result(run) for run in runs}
        told = known | {name: result for name, result in found.items() if result}
        numbers.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
        write_page(options.page, laboratory.result, options.seeds, machine, options.claims)


@dataclass
class Laboratory:
    """The folder of all datasets, runs and results.

    Attributes:
        folder: where.
        known: results of other folders, by `Run.name_and_seed`.
    """

    folder: Path
    known: dict[str, dict]
    _locks: dict[Run, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def make_dataset(self, name: str) -> None:
        """Make one of `DATASETS`; one that is there is left as it is."""
        seed, (_, layout, videos) = next((i, row) for i, row in enumerate(DATASETS) if row[0] == name)
        sizes = [word for split, count in videos.items() for word in (f"--{split}", str(count))]
        where = ["--layout", layout, "--output", str(self.folder / name), "--seed", str(seed)]
        self._avsf_det(self.folder, "data", "scenes", *where, *sizes)

    def result(self, run: Run) -> dict | None:
        """What evaluation gave, "heard" and "silent", of it `TOLD`; None if the run is not done."""
        path = run.output(self.folder) / "result.json"
        if not path.is_file():
            return self.known.get(run.name_and_seed)
        found = json.loads(path.read_text())
        return {state: {name: one[name] for name in TOLD if name in one} for state, one in found.items()}

    def evaluate(self, run: Run) -> None:
        """Train if need be, and write the result."""
        weights, output, found = self.weights(run), run.output(self.folder), {}
        for state, options in (("heard", []), ("silent", ["--no-audio"]))[: 1 + run.hears]:
            self._avsf_det(output, "eval", "--weights", str(weights), *options, "OUTPUT_DIR", str(output))
            name = "evaluation_val_silent.json" if options else "evaluation_val.json"
            found[state] = json.loads((output / name).read_text())
        (output / "result.json").write_text(json.dumps(found))

    def weights(self, run: Run) -> Path:
        """The checkpoint of the last epoch; one run is trained once, whoever asks."""
        with self._locks[run]:
            output = run.output(self.folder)
            done = output / "weights.txt"
            if not done.is_file():
                name = str(run.keys["DATA.ROOT"])
                keys = {**run.keys, "DATA.ROOT": self.folder / name, "RNG_SEED": run.seed, "OUTPUT_DIR": output}
                keys |= {"TRAIN.CHECKPOINT_MINUTES": 2.0, "TRAIN.KEEP_CHECKPOINTS": 1, "TENSORBOARD.ENABLE": False}
                if name == "scenes":
                    keys["DATA.CACHE_DIR"] = self.folder / "cache"
                if run.start:
                    keys["TRAIN.CHECKPOINT_FILE_PATH"] = self.weights(run.start)
                words = [str(word) for pair in keys.items() for word in pair]
                said = self._avsf_det(output, "train", "--config", CONFIG, *words)
                done.write_text(said.rpartition("weights: ")[2].strip())
            return Path(done.read_text())

    def _avsf_det(self, output: Path, *words: str) -> str:
        """What a command says; it is also kept in a file of the folder."""
        output.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "avsf_det", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        with open(output / "commands.log", "a", encoding="utf-8") as log:
            log.write(f"avsf-det {' '.join(words)}\n{done.stderr}{done.stdout}\n")
        if done.returncode:
            raise RuntimeError(f"{output}: avsf-det {' '.join(words)}: {done.stderr[-1000:]}")
        return done.stdout


if __name__ == "__main__":
    main()
