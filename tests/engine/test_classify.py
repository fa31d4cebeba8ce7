import csv
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from avsf_det.config import load_cfg
from avsf_det.data.batch import Collate
from avsf_det.data.classification.clips import ClipRow, Head, LabelledClips
from avsf_det.data.classification.dataset import ClipViews, Run
from avsf_det.engine.classify import ClassifyOptions, classify_videos, window_starts
from avsf_det.engine.clip_predictor import ClipPredictor
from avsf_det.engine.predictor import Predictor
from avsf_det.errors import UserError
from avsf_det.media.video import VideoInfo, probe
from avsf_det.media.writer import VideoWriter
from avsf_det.models.build import build_model
from avsf_det.models.checkpoint import load_checkpoint, save_checkpoint
from tests.engine.training import Killed
from tests.pages import ROOT, blocks

ACTIONS = Head("action", ("clapping", "drumming, loudly", "waving"))
PAIRS = Head("verb", ("take", "put")), Head("noun", ("cup", "pan", "knife"))
INFO = VideoInfo("v", 10.0, 0.0, Fraction(25), 64, 48, 0, "h264", False, 0.0, 0.0, 0, 0)
OPTIONS = ClassifyOptions()


@pytest.fixture(scope="module")
def predictor(clip_weights):
    return ClipPredictor.load(clip_weights(ACTIONS))


@pytest.fixture
def silent(tmp_path):
    """A video of 1.5 s without a sound track."""
    with VideoWriter(tmp_path / "silent.mp4", 64, 48, 10) as writer:
        for n in range(15):
            writer.write(np.full((48, 64, 3), 10 * n, np.uint8), n / 10)
    return tmp_path / "silent.mp4"


def classified(video, output, predictor, **options):
    results, failed = classify_videos([video], output, predictor, replace(OPTIONS, **options))
    assert not failed
    return results[video]


def rows(result):
    with open(result.files["csv"], newline="") as file:
        return list(csv.DictReader(file))


@given(st.floats(0.1, 100), st.floats(0, 1), st.floats(0.2, 5), st.floats(0.1, 5))
def test_windows_cover_the_picture_and_stay_within_it(length, first, span, stride):
    info = replace(INFO, duration=first + length, picture_start=first)
    starts = window_starts(info, span, stride)
    assert starts[0] == first and (np.diff(starts) > 0).all() and (np.diff(starts) <= stride + 1e-6).all()
    if length >= span:
        assert starts[-1] + span == pytest.approx(info.duration, abs=1e-5 * stride)
    else:
        assert len(starts) == 1


def test_windows_of_a_plain_video():
    assert window_starts(INFO, 2.0, 1.0).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert window_starts(INFO, 2.5, 3.0).tolist() == [0, 3, 6, 7.5]


def test_each_window_has_its_best_classes_and_the_video_their_mean(video, predictor, tmp_path):
    result = classified(video, tmp_path, predictor, stride=0.5)
    found = rows(result)
    (shown,) = blocks(ROOT / "docs" / "classify.md", "csv")
    assert list(found[0]) == shown.splitlines()[0].split(",")
    assert {row["video"] for row in found} == {"test_0000"} and {row["head"] for row in found} == {"action"}
    windows = {(float(row["start"]), float(row["end"])): [] for row in found}
    for row in found:
        windows[float(row["start"]), float(row["end"])].append(row)
    assert len(windows) == result.windows == 7 and max(end for _, end in windows) == probe(video).duration
    for own in windows.values():
        assert [row["rank"] for row in own] == ["1", "2", "3"] and {row["class"] for row in own} == set(ACTIONS.classes)
        scores = [float(row["score"]) for row in own]
        assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-5)
    ((head, best),) = result.best
    assert head == "action" and [score for _, score, _ in best] == sorted((s for _, s, _ in best), reverse=True)
    for name, score, added in best:
        own = [float(row["score"]) for row in found if row["class"] == name]
        assert score == pytest.approx(np.mean(own), abs=1e-5) and added is None
    assert result.summary().startswith("7 windows -> ") and f"action: {best[0][0]} 0." in result.summary()


def test_a_window_has_the_scores_that_evaluation_gives_the_same_seconds(video, predictor):
    clips = LabelledClips(
        "val", video, [ACTIONS], [ClipRow(1, video.name, [(0, 0)], 1.0, 1.0 + predictor.spec.duration)]
    )
    views = ClipViews.from_config(predictor.cfg, clips, video.parent)
    ((moment,),) = views.read(Run(0, np.array([0])))
    collate = Collate.from_config(predictor.cfg, predictor.spec)
    expected = predictor(collate(views.cuts(moment))).mean(axis=0)
    found, silent = predictor.score_video(video, [moment.time])
    assert silent is None and views.num_crops == 3
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_batches_change_nothing(video, clip_weights, predictor):
    expected, _ = predictor.score_video(video, [0.5, 1.0, 1.7])
    done = []
    one = ClipPredictor.load(clip_weights(ACTIONS), ["TEST.BATCH_SIZE", "2"])
    np.testing.assert_allclose(one.score_video(video, [0.5, 1.0, 1.7], done.append)[0], expected, atol=1e-5)
    assert sum(done) == 3


def test_where_several_classes_hold_the_highest_score_counts(video, clip_weights, tmp_path):
    predictor = ClipPredictor.load(clip_weights(replace(ACTIONS, multi_label=True)))
    result = classified(video, tmp_path, predictor)
    for name, score, _ in result.best[0][1]:
        assert score == pytest.approx(max(float(r["score"]) for r in rows(result) if r["class"] == name), abs=1e-6)


def test_of_verbs_and_nouns_the_pairs_are_told_too(video, clip_weights, tmp_path):
    result = classified(video, tmp_path, ClipPredictor.load(clip_weights(*PAIRS)), top_k=2)
    found = [row for row in rows(result) if row["start"] == rows(result)[0]["start"]]
    assert [row["head"] for row in found] == ["verb"] * 2 + ["noun"] * 2 + ["action"] * 2
    verb, noun, pair = found[0], found[2], found[4]
    assert pair["class"] == f"{verb['class']} {noun['class']}"
    assert float(pair["score"]) == pytest.approx(float(verb["score"]) * float(noun["score"]), abs=1e-5)
    assert [line.split(":")[0].strip() for line in result.summary().splitlines()[1:]] == ["verb", "noun", "action"]


def test_classes_below_the_threshold_are_left_out(video, predictor, tmp_path):
    best = rows(classified(video, tmp_path / "all", predictor))
    result = classified(video, tmp_path / "few", predictor, threshold=0.5)
    assert [r for r in best if float(r["score"]) >= 0.5] == rows(result)
    result = classified(video, tmp_path / "none", predictor, threshold=1.1)
    assert rows(result) == [] and result.summary().endswith("action: no class reaches the threshold")


def test_what_sound_adds_stands_beside_the_score(video, clip_weights, silent, tmp_path):
    explaining = ClipPredictor.load(clip_weights(ACTIONS), explain_audio=True)
    deaf = ClipPredictor.load(clip_weights(ACTIONS), use_audio=False)
    result, other = classified(video, tmp_path / "1", explaining), classified(video, tmp_path / "2", deaf)
    without = {(row["start"], row["class"]): float(row["score"]) for row in rows(other)}
    found = rows(result)
    for row in found:
        score, bare, added = (float(row[name]) for name in ("score", "score_without_sound", "sound_added"))
        assert bare == pytest.approx(without[row["start"], row["class"]], abs=1e-5)
        assert added == pytest.approx(score - bare, abs=2e-6)
    assert any(abs(float(row["sound_added"])) > 1e-3 for row in found) and "(sound +" in result.summary()
    quiet = classified(silent, tmp_path / "3", explaining)
    assert {row["sound_added"] for row in rows(quiet)} == {"0.000000"}
    assert "2 windows, no sound -> " in quiet.summary() and "(sound" not in quiet.summary()


def test_a_model_that_does_not_listen_explains_nothing(tiny):
    cfg = load_cfg(
        overrides=[*tiny, "MODEL.MODEL_NAME", "SlowFast", "MODEL.NUM_CLASSES", "3", "DETECTION.ENABLE", "False"]
    )
    with pytest.raises(UserError, match="does not listen; leave --explain-audio out"):
        ClipPredictor(build_model(cfg), cfg, [ACTIONS], explain_audio=True)


def test_a_video_shorter_than_a_window_is_one_window(silent, predictor, tmp_path):
    stretched = ClipPredictor(predictor.network.model.source, predictor.cfg, predictor.heads)
    stretched.spec = replace(predictor.spec, sampling_rate=30)
    result = classified(silent, tmp_path, stretched)
    assert result.windows == 1 and {(row["start"], row["end"]) for row in rows(result)} == {("0.000", "1.500")}


def test_the_timeline_is_a_picture(video, predictor, tmp_path):
    result = classified(video, tmp_path, predictor)
    assert result.files["timeline"] == tmp_path / "test_0000_classes.png"
    with Image.open(result.files["timeline"]) as page:
        assert page.width > 500


def test_a_video_that_cannot_be_read_is_named_and_the_others_are_done(video, predictor, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    results, failed = classify_videos([bad, video], tmp_path / "out", predictor, OPTIONS)
    assert list(results) == [video] and "bad.mp4: not a video" in failed[bad]
    assert not (tmp_path / "out" / "bad_classes.csv").exists()


def test_scores_that_are_no_numbers_are_no_result(video, clip_weights, tmp_path):
    checkpoint = load_checkpoint(clip_weights(ACTIONS))
    checkpoint["model_state"]["head.projection.bias"] = torch.full((3,), float("nan"))
    save_checkpoint(tmp_path / "broken.pyth", checkpoint)
    broken = ClipPredictor.load(tmp_path / "broken.pyth")
    _, failed = classify_videos([video], tmp_path / "out", broken, OPTIONS)
    assert "scores are NaN or inf" in failed[video] and not (tmp_path / "out" / "test_0000_classes.csv").exists()


def test_what_was_killed_goes_on_and_gives_the_same(video, predictor, tmp_path, monkeypatch):
    scored, score = [], predictor.score_video

    def score_video(path, centers, *rest):
        if len(scored) == kill_at:
            raise Killed
        scored.extend(centers)
        return score(path, centers, *rest)

    monkeypatch.setattr(predictor, "score_video", score_video)
    monkeypatch.setattr("avsf_det.engine.classify.CHUNK", 1)
    kill_at = None
    whole = classified(video, tmp_path / "whole", predictor)
    scored.clear()
    kill_at = 2
    with pytest.raises(Killed):
        classified(video, tmp_path / "killed", predictor)
    assert not list((tmp_path / "killed").glob("*.csv"))
    kill_at = None
    killed = classified(video, tmp_path / "killed", predictor)
    assert len(scored) == whole.windows
    for name, path in whole.files.items():
        assert path.read_bytes() == killed.files[name].read_bytes()


def test_finished_videos_are_passed_over_until_something_changes(video, predictor, clip_weights, tmp_path):
    first = classified(video, tmp_path, predictor)
    again = classified(video, tmp_path, predictor)
    assert again.reused and replace(again, reused=False) == first and "(there already)" in again.summary()
    assert not classified(video, tmp_path, predictor, top_k=2).reused
    first.files["csv"].unlink()
    assert not classified(video, tmp_path, predictor, top_k=2).reused
    deaf = ClipPredictor.load(clip_weights(ACTIONS), use_audio=False)
    assert not classified(video, tmp_path, deaf, top_k=2).reused


def test_each_kind_of_model_names_the_command_that_is_for_it(weights, clip_weights):
    with pytest.raises(UserError, match=r"a model of boxes, .* `avsf-det detect` is for it"):
        ClipPredictor.load(weights)
    with pytest.raises(UserError, match=r"a model of whole clips, .* `avsf-det classify` is for it"):
        Predictor.load(clip_weights(ACTIONS))


def test_converted_weights_have_the_classes_of_their_label_map(clip_weights, tmp_path):
    checkpoint = load_checkpoint(clip_weights(ACTIONS))
    del checkpoint["heads"]
    save_checkpoint(tmp_path / "bare.pyth", checkpoint)
    with pytest.raises(UserError, match="carries no label map"):
        ClipPredictor.load(tmp_path / "bare.pyth")
    items = (f'item {{\n  name: "{name}"\n  id: {number}\n}}\n' for number, name in enumerate(ACTIONS.classes, 1))
    save_checkpoint(tmp_path / "converted.pyth", checkpoint | {"label_map": "".join(items)})
    assert ClipPredictor.load(tmp_path / "converted.pyth").heads == (ACTIONS,)


def test_classes_of_another_number_than_the_models_are_refused(clip_weights, tmp_path):
    checkpoint = load_checkpoint(clip_weights(ACTIONS))
    checkpoint["heads"][0]["classes"].append("one more")
    save_checkpoint(tmp_path / "more.pyth", checkpoint)
    with pytest.raises(UserError, match="carries 4 classes of whole clips and its model has 3"):
        ClipPredictor.load(tmp_path / "more.pyth")
