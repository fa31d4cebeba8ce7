import json
import shutil
import statistics

import pytest

import avsf_det.cli
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.engine.evaluate_clips import ClipResult
from avsf_det.engine.folds import FoldsResult, evaluate_folds, train_folds
from avsf_det.engine.train import Trainer
from avsf_det.errors import UserError
from tests.engine.test_evaluate_clips import rows
from tests.engine.training import killed
from tests.processes import command_in_two


def result(top1, failed=()):
    return ClipResult({"top1": top1, "top5": 100.0}, 4, 30, list(failed), None)


def test_the_mean_and_the_standard_deviation_of_the_three():
    found = FoldsResult({1: result(50.0), 2: result(60.0, ["gone"]), 3: result(85.0)})
    assert found.summary()["top1"] == {"folds": [50.0, 60.0, 85.0], "mean": 65.0, "std": statistics.stdev([50, 60, 85])}
    assert found.failed == ["gone"]
    assert found.table().splitlines() == [
        "      fold 1  fold 2  fold 3    mean",
        "top1   50.00   60.00   85.00   65.00 ± 18.03",
        "top5  100.00  100.00  100.00  100.00 ± 0.00",
    ]


@pytest.fixture(scope="module")
def folds(clip_cfg, tmp_path_factory):
    """The folder and the result of a run on all divisions of HMDB51."""
    folder = tmp_path_factory.mktemp("folds")
    return folder, train_folds(clip_cfg("hmdb51", "OUTPUT_DIR", folder, "DATA.FOLD", 0, "TEST.NUM_SPATIAL_CROPS", 1))


def test_each_model_is_tested_on_the_list_of_its_own_division(folds, labelled):
    folder, found = folds
    tested = []
    for fold in (1, 2, 3):
        clips = ClipFolder(labelled("hmdb51"), fold=fold).clips("val")
        videos = [row["video"] for row in rows(folder / f"fold_{fold}" / "predictions_val.csv")]
        assert videos == [clip.video for clip in clips]
        tested += videos
    assert len(set(tested)) == 6  # in this dataset each video is tested once
    written = json.loads((folder / "folds.json").read_text())
    assert written["top1"]["folds"] == [found.results[fold].measures["top1"] for fold in (1, 2, 3)]
    assert written["top1"]["mean"] == pytest.approx(statistics.fmean(written["top1"]["folds"]))
    assert [path.split("/")[-3] for path in written["weights"]] == ["fold_1", "fold_2", "fold_3"]


def test_the_folder_is_evaluated_like_a_checkpoint(folds, labelled, tmp_path, capsys):
    folder, found = folds
    command = ["eval", "--weights", str(folder), "DATA.ROOT", str(labelled("hmdb51")), "DATA.FOLD", "0"]
    command += ["OUTPUT_DIR", str(tmp_path / "out")]
    assert avsf_det.cli.main(command) == 0
    assert capsys.readouterr().out == f"{found.table()}\n"
    assert (tmp_path / "out" / "folds.json").read_bytes() == (folder / "folds.json").read_bytes()
    assert avsf_det.cli.main([*command, "--no-audio"]) == 0
    assert (tmp_path / "out" / "folds_silent.json").is_file()
    assert (tmp_path / "out" / "fold_2" / "predictions_val_silent.csv").is_file()
    assert avsf_det.cli.main([*command, "--explain-audio"]) == 2


def test_a_run_that_was_killed_goes_on_where_it_was(folds, clip_cfg, monkeypatch, tmp_path):
    run, started = Trainer.run, []
    words = ["OUTPUT_DIR", tmp_path, "DATA.FOLD", 0, "TEST.NUM_SPATIAL_CROPS", 1]
    with killed(monkeypatch, lambda trainer: trainer.cfg.DATA.FOLD == 2):
        train_folds(clip_cfg("hmdb51", *words))
    finished = (tmp_path / "fold_1/checkpoints/checkpoint_epoch_00001.pyth").stat().st_mtime_ns
    monkeypatch.setattr(Trainer, "run", lambda self: (started.append((self.cfg.DATA.FOLD, self.epoch)), run(self))[1])
    found = train_folds(clip_cfg("hmdb51", *words))
    assert started == [(1, 1), (2, 0), (3, 0)]
    assert (tmp_path / "fold_1/checkpoints/checkpoint_epoch_00001.pyth").stat().st_mtime_ns == finished
    assert found.table() == folds[1].table()


@pytest.mark.parametrize(
    ("layout", "overrides", "message"),
    [
        ("kinetics", (), "DATA.FOLD 0 is for the three divisions of UCF101 and HMDB51: got .*, which has none; leave"),
        (
            "hmdb51",
            ("DETECTION.ENABLE", "True"),
            "DATA.FOLD 0 is for .*: got DETECTION.ENABLE True; leave DATA.FOLD out",
        ),
        ("ucf101", (), r"no trainlist03.txt; expected the lists of folds 1 to 3 \(DATA.FOLD\)"),
    ],
)
def test_what_has_no_three_divisions_is_refused_before_training(layout, overrides, message, clip_cfg, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        train_folds(clip_cfg(layout, "OUTPUT_DIR", tmp_path / "run", "DATA.FOLD", 0, *overrides))
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_folder_without_all_models_is_refused(folds, tmp_path):
    shutil.copytree(folds[0] / "fold_1", tmp_path / "fold_1")
    with pytest.raises(UserError, match=r"no checkpoint in .*fold_2/checkpoints"):
        evaluate_folds(tmp_path)
    with pytest.raises(UserError, match=r"DATA.FOLD 2: .* has a model for each; for one give its own checkpoint"):
        evaluate_folds(folds[0], ["DATA.FOLD", "2"])


def test_two_processes_train_all_and_one_tells_the_mean(clip_cfg, labelled, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(clip_cfg("hmdb51", "TEST.NUM_SPATIAL_CROPS", 1, "TRAIN.BATCH_SIZE", 2).dump())
    out = command_in_two("train", "--config", recipe, "DATA.FOLD", "0", "OUTPUT_DIR", tmp_path / "run")
    found = evaluate_folds(tmp_path / "run", ["DATA.ROOT", str(labelled("hmdb51"))])
    assert out == f"{found.table()}\n"
