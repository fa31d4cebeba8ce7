import csv
import json
import shutil

import numpy as np
import pytest

import avsf_det.cli
from avsf_det.data.batch import Collate
from avsf_det.data.classification.clips import Head
from avsf_det.data.classification.dataset import ClipViews
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.dataset import Run
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.evaluate_clips import evaluate_clip_weights, evaluate_clips, main_measure
from avsf_det.errors import UserError
from tests.engine.training import log
from tests.processes import command_in_two


@pytest.fixture
def evaluate(trained, labelled, tmp_path):
    """A function that evaluates a layout's model; results go to a named folder."""

    def evaluate(layout, output, *overrides, **options):
        words = ["DATA.ROOT", labelled(layout), "OUTPUT_DIR", tmp_path / output, *overrides]
        return evaluate_clip_weights(trained(layout), list(map(str, words)), **options)

    return evaluate


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_hand(predictor, folder, split, ensemble):
    """(S, K) scores of all clips, each of all its views at once."""
    views = ClipViews.from_config(predictor.cfg, folder.clips(split), folder.root)
    collate = Collate.from_config(predictor.cfg, views.spec)
    read = [views.read(Run(0, np.array([i])))[0] for i in range(len(views))]
    scores = [predictor(collate([view for one in moments for view in views.cuts(one)])) for moments in read]
    assert {len(own) for own in scores} == {views.num_views * views.num_crops}
    return np.array([ensemble(own, axis=0) for own in scores])


@pytest.mark.parametrize(("layout", "ensemble"), [("kinetics", np.mean), ("charades", np.max)])
def test_thirty_views_are_averaged_or_the_highest_taken_where_several_classes_hold(
    layout, ensemble, evaluate, trained, labelled, tmp_path
):
    views = ["TEST.NUM_ENSEMBLE_VIEWS", "10", "TEST.BATCH_SIZE", "7"]
    result = evaluate(layout, "out", *views)
    assert result.views == 30 and result.table().endswith(f"{result.clips} clips, 30 views of each")
    folder = ClipFolder(labelled(layout))
    with np.load(tmp_path / "out" / "scores_val.npz") as file:
        scores, labels = file["scores"], file["labels"]
    expected = by_hand(ClipPredictor.load(trained(layout), views), folder, "val", ensemble)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
    assert labels.tolist() == [clip.labels.astype(bool).tolist() for clip in folder.clips("val")]


def test_files_say_which_clip_what_is_true_and_what_is_found(evaluate, labelled, tmp_path):
    result = evaluate("epic_55", "out", "DATA.EVAL_SPLIT", "train")
    found = rows(result.predictions)
    assert result.predictions == tmp_path / "out" / "predictions_train.csv" and len(found) == 2 * result.clips == 6
    assert [row["head"] for row in found] == ["verb", "noun"] * 3
    assert {(row["video"], row["start"], row["end"]) for row in found} == {
        ("videos/P01/P01_01.MP4", "0.5", "3.37"),
        ("videos/P01/P01_01.MP4", "0", "0.8"),
        ("videos/P25/P25_01.MP4", "1", "2.5"),
    }
    assert [row["labels"] for row in found] == ["verb2", "noun 8", "verb0", "noun 13", "verb1", "noun 13"]
    with np.load(tmp_path / "out" / "scores_train.npz") as file:
        scores, classes = file["scores"], file["classes"].tolist()
        assert file["videos"].tolist() == [row["video"] for row in found[::2]]
        assert file["starts"].tolist() == [0.5, 0, 1] and file["ends"].tolist() == [3.37, 0.8, 2.5]
    assert scores.shape == (3, len(classes)) and len(classes) == 125 + 352
    for number, row in enumerate(found[::2]):
        own = scores[number, :125]
        best = np.argsort(-own, kind="stable")[:5]
        assert [row[f"class_{i}"] for i in range(1, 6)] == [f"verb{k}" for k in best]
        np.testing.assert_allclose([float(row[f"score_{i}"]) for i in range(1, 6)], own[best], atol=6e-5)
    written = json.loads((tmp_path / "out" / "evaluation_train.json").read_text())
    assert written == {**result.measures, "clips": 3, "views": 3, "failed": 0}


def test_several_labels_of_a_clip_are_written_between_semicolons(evaluate):
    first, *_ = rows(evaluate("charades", "out", "DATA.EVAL_SPLIT", "train").predictions)
    assert first["labels"] == "Doing 92;Doing 147" and first["start"] == "0" and first["end"] == ""


def test_two_processes_evaluate_to_the_bit_as_one(trained, labelled, evaluate, tmp_path):
    options = ["DATA.ROOT", labelled("kinetics"), "DATA.EVAL_SPLIT", "train", "TRAIN.NUM_WORKERS", "0"]
    command = ["eval", "--weights", trained("kinetics"), "OUTPUT_DIR", tmp_path / "two", *options]
    out = command_in_two(*command)
    assert out.count("predictions: ") == 1
    evaluate("kinetics", "one", *options)
    for name in ("predictions_train.csv", "evaluation_train.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with np.load(tmp_path / "one/scores_train.npz") as one, np.load(tmp_path / "two/scores_train.npz") as two:
        assert one.files == two.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])


def test_what_is_logged_while_training_is_that_of_the_middle_of_each_clip(trained, evaluate):
    result = evaluate("kinetics", "out", "TEST.NUM_SPATIAL_CROPS", "1")
    (judged,) = (one for one in log(trained("kinetics").parents[1]) if one["kind"] == "eval")
    assert {name: judged[name] for name in result.measures} == result.measures


def test_a_clip_that_cannot_be_read_is_named_counted_and_not_replaced(
    trained, labelled, tmp_path, caplog, capsys, monkeypatch
):
    root = shutil.copytree(labelled("hmdb51"), tmp_path / "data", symlinks=True)
    victim = next((root / "brush_hair").glob("*#1*"))
    victim.unlink()
    victim.write_bytes(b"no video")
    command = ["eval", "--weights", trained("hmdb51"), "DATA.ROOT", root, "OUTPUT_DIR", tmp_path / "out"]
    command = [*map(str, command), "TRAIN.MAX_FAILED_SHARE"]
    assert avsf_det.cli.main([*command, "0.5"]) == 1
    assert "1 clips, 3 views of each" in capsys.readouterr().out
    assert "a clip is left out: " in caplog.text and f"{victim}: not a video" in caplog.text
    assert [row["video"].split("/")[0] for row in rows(tmp_path / "out" / "predictions_val.csv")] == ["wave"]
    assert json.loads((tmp_path / "out" / "evaluation_val.json").read_text())["failed"] == 1
    assert avsf_det.cli.main([*command, "0.1"]) == 2
    assert "1 of 2 clips cannot be read, more than TRAIN.MAX_FAILED_SHARE 0.1" in capsys.readouterr().err
    other = next((root / "wave").glob("*#1*"))
    other.unlink()
    other.write_bytes(b"no video")
    assert avsf_det.cli.main([*command, "1.0"]) == 2
    assert "none of the 2 clips of val can be read; the first: " in capsys.readouterr().err


def test_without_sound_nothing_is_overwritten(evaluate, tmp_path):
    heard, deaf = evaluate("kinetics", "out"), evaluate("kinetics", "out", use_audio=False)
    assert deaf.predictions == tmp_path / "out" / "predictions_val_silent.csv"
    assert heard.predictions.read_text() != deaf.predictions.read_text()
    kinds = ("predictions_{}.csv", "scores_{}.npz", "evaluation_{}.json")
    wanted = {kind.format(name) for kind in kinds for name in ("val", "val_silent")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == wanted


def test_other_classes_are_refused_before_anything_is_read(trained, labelled, tmp_path):
    predictor = ClipPredictor.load(trained("kinetics"))
    with pytest.raises(
        UserError, match=r"the model's classes are not those of .*hmdb51.*class 0 of action is 'clapping"
    ):
        evaluate_clips(predictor, ClipFolder(labelled("hmdb51")), "val", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("heads", "name"),
    [
        ([("action", False)], "top1"),
        ([("action", True)], "mAP"),
        ([("verb", False), ("noun", False)], "action_top1"),
        ([("verb", False), ("place", False)], "verb_top1"),
    ],
)
def test_models_are_compared_by_one_measure(heads, name):
    assert main_measure([Head(head, ("a", "b"), several) for head, several in heads]) == name


def test_effects_of_sound_are_told_of_boxes_alone(trained, capsys):
    assert avsf_det.cli.main(["eval", "--weights", str(trained("kinetics")), "--explain-audio"]) == 2
    assert "--explain-audio is for models of boxes" in capsys.readouterr().err


def test_evaluate_clips_on_a_subset_scores_those_clips_as_all(trained, labelled, tmp_path):
    predictor = ClipPredictor.load(trained("kinetics"), ["TEST.NUM_ENSEMBLE_VIEWS", "1", "TEST.NUM_SPATIAL_CROPS", "1"])
    folder, scores = ClipFolder(labelled("kinetics")), {}
    for name, subset in (("all", 1.0), ("some", 0.5)):
        result = evaluate_clips(predictor, folder, "train", tmp_path, name, subset=subset)
        with np.load(tmp_path / f"scores_{name}.npz") as file:
            scores[name] = dict(zip(file["videos"].tolist(), file["scores"]))
    assert 0 < len(scores["some"]) < len(scores["all"]) and result.clips == len(scores["some"])
    for video, own in scores["some"].items():
        np.testing.assert_allclose(own, scores["all"][video], atol=1e-6)


def test_map_of_clips_is_between_0_and_1_as_that_of_boxes(evaluate):
    result = evaluate("charades", "out")
    assert 0 < result.measures["mAP"] <= 1 and f"{result.measures['mAP']:.4f}" in result.table()
