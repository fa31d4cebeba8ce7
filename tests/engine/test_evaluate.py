import json
import shutil

import numpy as np
import pytest

from ava_eval import InputError
from ava_eval.label_map import LabelMap
from avsf_det.data.annotations import AvaFolder
from avsf_det.engine.evaluate import (
    check_label_map,
    detection_rows,
    evaluate_split,
    evaluate_weights,
    write_detections,
)
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.structures import Persons

LABELS = LabelMap(ids=(3, 12), names=("stand", "clap"))


@pytest.fixture
def copy(scenes, tmp_path):
    """A copy of the tiny scenes that may be written to."""
    shutil.copytree(scenes, tmp_path / "copy")
    return tmp_path / "copy"


class Oracle(Predictor):
    """Knows the labels: scores them 1 and all else 0."""

    def score_video(self, path, times, persons, on_progress=lambda keyframes: None):
        truth = {(k.video_id, k.time): k.persons for k in self.keyframes}
        on_progress(len(times))
        return [truth[path.stem, time].replace(scores=np.ones(len(truth[path.stem, time]))) for time in times]


def test_rows_are_avas_with_every_action_of_every_person():
    persons = Persons([[0.1, 0.2, 0.3, 1 / 3]], [0.9], actions=[[0.25, 1 / 3]])
    assert detection_rows("v", [902.0], [persons], LABELS) == [
        ("v", "0902", "0.1", "0.2", "0.3", "0.333333", 3, "0.25"),
        ("v", "0902", "0.1", "0.2", "0.3", "0.333333", 12, repr(float(np.float32(1 / 3)))),
    ]
    assert len(detection_rows("v", [902.0], [persons], LABELS, threshold=0.3)) == 1
    assert detection_rows("v", [1.0], [Persons.none()], LABELS) == []


@pytest.mark.parametrize("time", [0.0, 0.5, 2.0, 1 / 3, 1234.567, 98765.433333, 20000 + 1 / 30, 1800.0])
def test_times_keep_their_microseconds(time):
    persons = Persons([[0, 0, 1, 1]], [1], actions=[[1, 1]])
    written = detection_rows("v", [time], [persons], LABELS)[0][1]
    assert float(written) == pytest.approx(time, abs=6e-7)


def test_a_csv_is_written_whole_or_not_at_all(tmp_path):
    write_detections(tmp_path / "new" / "d.csv", [("v", "0902", 0.5)])
    assert (tmp_path / "new" / "d.csv").read_text() == "v,0902,0.5\n"
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file/d.csv"):
        write_detections(tmp_path / "file" / "d.csv", [])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["d.csv"]


def test_the_labels_themselves_score_1_with_known_boxes(weights, scenes, tmp_path):
    dataset = AvaFolder(scenes)
    oracle = Oracle.load(weights)
    oracle.keyframes = dataset.keyframes("val")
    result = evaluate_split(oracle, dataset, "val", tmp_path / "d.csv")
    assert result.evaluation.mAP == 1.0 and result.failed == {}


def test_evaluate_weights_writes_the_same_results_again(weights, scenes, tmp_path):
    settings = ["DATA.ROOT", str(scenes), "OUTPUT_DIR", str(tmp_path)]
    result = evaluate_weights(weights, settings)
    written = json.loads((tmp_path / "evaluation_val.json").read_text())
    assert written["mAP"] == pytest.approx(result.evaluation.mAP) and 0 < written["mAP"] <= 1
    assert result.detections == tmp_path / "detections_val.csv" and result.detections.stat().st_size
    first = result.detections.read_bytes()
    evaluate_weights(weights, settings)
    assert result.detections.read_bytes() == first
    evaluate_weights(weights, [*settings, "DATA.EVAL_SPLIT", "test"], use_audio=False)
    assert {path.name for path in tmp_path.glob("*.csv")} == {"detections_val.csv", "detections_test_silent.csv"}


def test_boxes_of_a_csv_are_scored_above_the_threshold(weights, scenes, tmp_path):
    rows = (scenes / "annotations" / "val_person_boxes.csv").read_text().splitlines()
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("".join(row.rpartition(",")[0] + (",0.9\n" if i else ",0.7\n") for i, row in enumerate(rows)))
    settings = ["DATA.ROOT", str(scenes), "OUTPUT_DIR", str(tmp_path), "DETECTOR.MODEL", str(boxes)]
    result = evaluate_weights(weights, settings)
    places = {line.rsplit(",", 2)[0] for line in result.detections.read_text().splitlines()}
    excluded = (scenes / "annotations" / "val_excluded_timestamps.csv").read_text().split()
    assert len(places) == sum(",".join(row.split(",")[:2]) not in excluded for row in rows[1:])


def test_a_video_that_cannot_be_read_is_told_and_the_others_are_done(weights, copy, tmp_path, caplog):
    (copy / "videos" / "train_0001.mp4").write_bytes(b"no video")
    settings = ["OUTPUT_DIR", str(tmp_path), "DATA.ROOT", str(copy), "DATA.EVAL_SPLIT", "train"]
    result = evaluate_weights(weights, settings)
    assert list(result.failed) == ["train_0001"] and "train_0001.mp4: not a video" in caplog.text
    assert {line.split(",")[0] for line in result.detections.read_text().splitlines()} == {"train_0000", "train_0002"}


def test_a_bad_row_of_the_ground_truth_is_told_before_anything_is_computed(weights, copy, tmp_path, monkeypatch):
    with open(copy / "annotations" / "val.csv", "a") as file:
        file.write("val_0000,soon,0,0,1,1,1,1\n")
    monkeypatch.setattr(Predictor, "score_video", lambda *_: pytest.fail("computed"))
    with pytest.raises(InputError, match=r"val.csv:\d+: the timestamp is 'soon'"):
        evaluate_weights(weights, ["OUTPUT_DIR", str(tmp_path), "DATA.ROOT", str(copy)])


@pytest.mark.parametrize(
    ("ids", "names", "difference"),
    [
        ((3, 12), ("stand", "slap"), "id 12 is 'clap' there and 'slap' in"),
        ((3,), ("stand",), "id 12 is 'clap' there and None in"),
        ((1, 3, 12), ("run", "stand", "clap"), "id 1 is None there and 'run' in"),
    ],
)
def test_another_label_map_is_refused_with_the_first_difference(copy, ids, names, difference):
    (copy / "annotations" / "label_map.pbtxt").write_text(LabelMap(ids=ids, names=names).to_pbtxt())
    with pytest.raises(UserError, match=difference):
        check_label_map(LABELS, AvaFolder(copy))


def test_the_order_of_a_label_map_does_not_matter(copy):
    (copy / "annotations" / "label_map.pbtxt").write_text(LabelMap(ids=(12, 3), names=("clap", "stand")).to_pbtxt())
    check_label_map(LABELS, AvaFolder(copy))


def moved(copy, by):
    """Let the val split's timestamps be of a clock that reads `by` where the file begins."""
    for path in (copy / "annotations").glob("val*.csv"):
        rows = (row.split(",", 2) for row in path.read_text().splitlines())
        path.write_text("".join(f"{video},{float(time) + by:.6f},{rest[0]}\n" for video, time, *rest in rows if rest))


def test_a_cut_video_gives_the_scores_of_the_whole_one(weights, copy, tmp_path):
    settings = ["DATA.ROOT", str(copy), "OUTPUT_DIR"]
    whole = evaluate_weights(weights, [*settings, str(tmp_path / "whole")])
    moved(copy, 900)
    cut = evaluate_weights(weights, [*settings, str(tmp_path / "cut"), "AVA.VIDEO_START", "900"])
    assert cut.failed == {} and cut.evaluation.mAP == pytest.approx(whole.evaluation.mAP)
    one, other = (np.loadtxt(r.detections, delimiter=",", usecols=range(1, 8)) for r in (whole, cut))
    np.testing.assert_allclose(other - one, np.array([[900, 0, 0, 0, 0, 0, 0]]).repeat(len(one), 0), atol=2e-4)


def test_keyframes_beyond_their_video_are_told_and_the_others_scored(weights, copy, tmp_path):
    row = (copy / "annotations" / "val.csv").read_text().splitlines()[0].split(",")
    with open(copy / "annotations" / "val.csv", "a") as file:
        file.write(",".join([row[0], "99", *row[2:]]) + "\n")
    result = evaluate_weights(weights, ["OUTPUT_DIR", str(tmp_path), "DATA.ROOT", str(copy)])
    assert list(result.failed) == ["val_0000"] and "1 keyframes are beyond, such as 99" in result.failed["val_0000"]
    assert result.detections.stat().st_size


def test_predicted_boxes_of_the_dataset_are_scored_and_fewer_classes_count(weights, copy, tmp_path):
    rows = (copy / "annotations" / "val_person_boxes.csv").read_text().splitlines()
    boxes = copy / "annotations" / "val_predicted.csv"
    boxes.write_text("".join(row.rpartition(",")[0] + (",0.9\n" if i else ",0.7\n") for i, row in enumerate(rows)))
    folder = AvaFolder(copy)
    few = LabelMap(folder.label_map.ids[:3], folder.label_map.names[:3])
    (copy / "annotations" / "few.pbtxt").write_text(few.to_pbtxt())
    settings = ["OUTPUT_DIR", str(tmp_path), "DATA.ROOT", str(copy), "AVA.SCORED_LABEL_MAP_FILE", "few.pbtxt"]
    result = evaluate_weights(weights, [*settings, "AVA.TEST_PREDICT_BOX_LISTS", "['{split}_predicted.csv']"])
    places = {line.rsplit(",", 2)[0] for line in result.detections.read_text().splitlines()}
    excluded = (copy / "annotations" / "val_excluded_timestamps.csv").read_text().split()
    assert len(places) == sum(",".join(row.split(",")[:2]) not in excluded for row in rows[1:])
    assert list(result.evaluation.ap) == list(few.names)


def test_what_sound_does_is_the_difference_to_an_evaluation_without_it(weights, scenes, tmp_path):
    settings = ["DATA.ROOT", str(scenes), "OUTPUT_DIR", str(tmp_path)]
    result = evaluate_weights(weights, settings, explain_audio=True)
    deaf = evaluate_weights(weights, settings, use_audio=False)
    assert {name: effect.ap for name, effect in result.effects.items()} == pytest.approx(
        result.evaluation.ap, nan_ok=True
    )
    assert {name: effect.silent_ap for name, effect in result.effects.items()} == pytest.approx(
        deaf.evaluation.ap, nan_ok=True
    )
    rows = [line.split(",") for line in (tmp_path / "detections_val_audio.csv").read_text().splitlines()]
    plain = result.detections.read_text().splitlines()
    assert [",".join(row[:-2]) for row in rows] == plain
    silent = [line.rsplit(",", 1)[1] for line in deaf.detections.read_text().splitlines()]
    np.testing.assert_allclose([float(row[-2]) for row in rows], [float(score) for score in silent], atol=1e-5)
    for row in rows:
        assert float(row[-3]) - float(row[-2]) == pytest.approx(float(row[-1]))
    written = json.loads((tmp_path / "audio_effect_val.json").read_text())
    assert written["mean of the classes"]["ap"] == pytest.approx(result.evaluation.mAP)


def test_evaluate_split_on_a_subset_scores_some_keyframes_and_counts_no_others(weights, scenes, tmp_path):
    dataset = AvaFolder(scenes)
    oracle = Oracle.load(weights)
    oracle.keyframes = dataset.keyframes("val")
    every = {time for times in dataset.evaluation_times("val").values() for time in times.tolist()}
    result = evaluate_split(oracle, dataset, "val", tmp_path / "d.csv", subset=0.5)
    found = {float(line.split(",")[1]) for line in (tmp_path / "d.csv").open()}
    assert found < every and len(found) == round(0.5 * len(every))
    assert result.evaluation.mAP == 1.0
    with pytest.raises(UserError, match=r"DATA\.EVAL_SUBSET: got 0, expected a number above 0 and up to 1"):
        evaluate_split(oracle, dataset, "val", tmp_path / "d.csv", subset=0.0)
