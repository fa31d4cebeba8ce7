import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from ava_eval import evaluate
from avsf_det.cli import main
from avsf_det.config import find_config
from avsf_det.data.scenes.activities import SOUND_PAIRS, TIMING_PAIR, label_map
from avsf_det.data.scenes.generator import ScenesSpec, make_scene
from avsf_det.engine.demo import COLUMNS, Demo, format_table
from avsf_det.errors import UserError
from avsf_det.media.video import VideoReader, probe

DETECTOR = (
    "SOLVER.MAX_ITER 8 SOLVER.IMS_PER_BATCH 2 SOLVER.STEPS () SOLVER.CHECKPOINT_PERIOD 8 DATALOADER.NUM_WORKERS 0"
)
MODEL = "RESNET.WIDTH_PER_GROUP 8 DATA.TRAIN_JITTER_SCALES [32,32] DATA.TEST_CROP_SIZE 32 SOLVER.MAX_EPOCH 1"
SHOWN = ScenesSpec({"test": 1}, width=128, height=96, duration=4, seed=1)
SCENES = ScenesSpec({"train": 4, "val": 0, "test": 2}, width=128, height=96, duration=3, seed=0)


def small(output):
    return Demo(output, SCENES, DETECTOR.split(), [*MODEL.split(), "DEVICE", "cpu"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What `avsf-det demo` made of a few scenes and steps: its folder, and what it printed."""
    pytest.importorskip("detectron2")
    folder, printed = tmp_path_factory.mktemp("demo"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setenv("AVSF_CACHE", str(folder / "cache"))
        patch.setattr("avsf_det.engine.demo.Demo", small)
        patch.setattr("avsf_det.engine.demo.SHOWN", SHOWN)
        assert main(["demo", "--output", str(folder / "out")]) == 0
    return folder / "out", printed.getvalue()


def test_a_table_is_printed_with_a_row_a_pair(demo):
    _, printed = demo
    lines = printed.splitlines()
    assert any(line.startswith("person AP50 ") for line in lines)
    assert any(all(column in line for column in COLUMNS) for line in lines)
    for pair in (*SOUND_PAIRS.values(), TIMING_PAIR):
        assert sum(line.startswith(" / ".join(pair)) for line in lines) == 1


def test_a_held_out_scene_is_annotated_with_its_sound(demo):
    output, printed = demo
    video = output / "test_0000.mp4"
    scene = probe(output / "shown" / "videos" / "test_0000.mp4")
    assert probe(video).has_audio == scene.has_audio and scene.has_audio
    assert probe(video).duration == pytest.approx(4, abs=0.05)
    for name in ("test_0000.mp4", "test_0000.csv", "test_0000.png", "test_0000_frame.png"):
        assert (output / name).is_file() and str(output / name) in printed
    with Image.open(output / "test_0000_frame.png") as picture, VideoReader(video) as reader:
        assert picture.size == (reader.info.width, reader.info.height)


def test_the_scene_that_is_annotated_has_what_only_sound_tells_apart():
    from avsf_det.engine import demo

    scene = make_scene(demo.SHOWN, "test", 0)
    done = {span.activity for actor in scene.actors for span in actor.spans}
    assert {*TIMING_PAIR, *SOUND_PAIRS["drum"]} <= done


def test_the_results_are_also_kept_as_json(demo):
    def refuse(constant):
        raise ValueError(f"{constant} is not json")

    results = json.loads((demo[0] / "results.json").read_text(), parse_constant=refuse)
    assert set(results) == {"person AP50", *COLUMNS}
    assert set(results["with sound"]["AP"]) == set(label_map().names)


def test_what_is_there_is_not_made_again(demo, monkeypatch):
    output, _ = demo
    stamps = {path: path.stat().st_mtime_ns for path in output.rglob("*.p*th")}
    monkeypatch.setenv("AVSF_CACHE", str(output.parent / "cache"))
    monkeypatch.setattr("avsf_det.engine.demo.SHOWN", SHOWN)
    small(output).run()
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.p*th")} == stamps and len(stamps) >= 4


def test_a_video_that_cannot_be_read_is_told_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match=r"missing.mp4: cannot be opened"):
        Demo(tmp_path / "out").run(tmp_path / "missing.mp4")
    assert not (tmp_path / "out").exists()


def test_a_pairs_ap_is_the_mean_of_its_classes():
    classes = label_map()
    ids = dict(zip(classes.names, classes.ids))
    truth = [("v", t, 0.1, 0.1, 0.5, 0.9, ids[name]) for t, name in enumerate(("clap", "mime a clap"))]
    found = [(*row, 0.9) for row in truth[:1]]
    evaluation = evaluate(truth, found, classes)
    table = format_table(0.9, dict.fromkeys(COLUMNS, evaluation))
    (row,) = (line for line in table.splitlines() if line.startswith("clap / mime a clap"))
    np.testing.assert_allclose([float(value) for value in row.split()[-3:]], 0.5)


def test_the_demos_recipes_are_there():
    from avsf_det.engine import demo

    for name in (demo.DETECTOR_CONFIG, demo.VISUAL_CONFIG, demo.AUDIOVISUAL_CONFIG):
        assert find_config(name).is_file()


def test_people_in_a_user_s_video_are_yolox_s_to_find(tmp_path, weights, scenes, monkeypatch):
    class Asked(Exception):
        pass

    def ask(model, **options):
        raise Asked(model)

    monkeypatch.setattr("avsf_det.engine.demo.open_detector", ask)
    made = Demo(tmp_path / "demo")
    made.weights, made.detector = {"avslowfast": weights}, tmp_path / "own.pth"
    with pytest.raises(Asked, match="yolox"):
        made._annotate(scenes / "videos" / "val_0000.mp4")
    with pytest.raises(Asked, match=r"own\.pth"):
        made._annotate(made.output / "shown" / "videos" / "test_0000.mp4")
