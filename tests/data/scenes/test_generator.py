import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from avsf_det.data.annotations import AvaFolder
from avsf_det.data.scenes import generator
from avsf_det.data.scenes.activities import label_map
from avsf_det.data.scenes.generator import BODIES, SPLITS, ScenesSpec, generate
from avsf_det.data.scenes.scene import Scene
from avsf_det.errors import UserError
from avsf_det.media.audio import AudioReader
from avsf_det.media.video import VideoReader, probe
from detectors.keyframes import person_keyframes

SMALL = ScenesSpec({}, 64, 48, 3)


def tables(root):
    return {path.name: path.read_bytes() for path in (root / "annotations").iterdir()}


def test_the_same_spec_gives_the_same_tables_and_pictures(scenes, scenes_spec, tmp_path):
    generate(tmp_path, scenes_spec, workers=2)
    assert tables(tmp_path) == tables(scenes)
    for path in sorted((scenes / "videos").iterdir()):
        with VideoReader(path) as one, VideoReader(tmp_path / "videos" / path.name) as other:
            times = np.arange(0, 4, 0.5)
            np.testing.assert_array_equal(one.frames_at(times), other.frames_at(times))
        sounds = [AudioReader(folder / "videos" / path.name).read(0, 4) for folder in (scenes, tmp_path)]
        np.testing.assert_array_equal(*sounds)


def test_another_seed_gives_another_dataset(scenes, scenes_spec, tmp_path):
    generate(tmp_path, replace(scenes_spec, scenes={"val": 1}, seed=2), workers=1)
    assert tables(tmp_path)["val.csv"] != tables(scenes)["val.csv"]


def test_a_whole_dataset_is_left_as_it_is(scenes, scenes_spec, monkeypatch):
    monkeypatch.setattr(generator, "_write_scene", None)  # as if later code wrote other scenes
    before = tables(scenes)
    generate(scenes, scenes_spec, workers=1)
    assert tables(scenes) == before


def test_what_is_there_is_not_made_again_and_another_spec_is_refused(scenes_spec, tmp_path):
    spec = replace(scenes_spec, scenes={"val": 2}, duration=3)
    generate(tmp_path, spec, workers=1)
    before = tables(tmp_path)
    first, second = sorted((tmp_path / "videos").iterdir())
    stamp = first.stat().st_mtime_ns
    second.unlink()
    generate(tmp_path, spec, workers=1)
    assert first.stat().st_mtime_ns == stamp and second.is_file() and tables(tmp_path) == before
    with pytest.raises(UserError, match="another size, seed, number or layout"):
        generate(tmp_path, replace(spec, seed=7), workers=1)


def test_a_dataset_is_what_ava_is(scenes):
    folder = AvaFolder(scenes)
    assert folder.label_map.names == label_map().names
    excluded = (scenes / "annotations" / "train_excluded_timestamps.csv").read_text()
    assert all(len(row.split(",")) == 2 for row in excluded.splitlines())
    for split, videos in (("train", 3), ("val", 1), ("test", 1)):
        keyframes = folder.keyframes(split)
        assert len({k.video_id for k in keyframes}) == videos
        assert all(k.time in (1, 2, 3) and len(k.persons) and k.persons.actions.any(axis=1).all() for k in keyframes)
        boxes = person_keyframes(scenes / "annotations" / f"{split}_person_boxes.csv")
        assert len(boxes) >= len(keyframes)
        given = {(k.video_id, k.time): len(k.persons) for k in boxes}
        assert all(given[k.video_id, k.time] == len(k.persons) for k in keyframes)


def test_person_ids_last_through_a_scene(scenes):
    rows = [row.split(",") for row in (scenes / "annotations" / "train.csv").read_text().splitlines()]
    centres = {}
    for video, second, x1, _, x2, *_, person in rows:
        centres.setdefault((video, person), {})[int(second)] = (float(x1) + float(x2)) / 2
    moves = [abs(c[s + 1] - c[s]) for c in centres.values() for s in c if s + 1 in c]
    assert moves and np.median(moves) < 0.1


def test_frame_rates_take_turns(scenes):
    rates = [probe(scenes / "videos" / f"train_000{number}.mp4").fps for number in range(3)]
    assert rates == [Fraction(30), Fraction(30000, 1001), Fraction(25)]
    for path in (scenes / "videos").iterdir():
        info = probe(path)
        assert info.duration == pytest.approx(4, abs=float(1 / info.fps)) and (info.width, info.height) == (128, 96)


def test_splits_share_neither_bodies_nor_places(monkeypatch, tmp_path):
    casts = {}

    class Watched(Scene):
        def __init__(self, rng, bodies, places, *rest, **kwargs):
            casts.setdefault(str(len(casts)), (bodies, places, int(rng.bit_generator.state["state"]["state"])))
            super().__init__(rng, bodies, places, *rest, **kwargs)

    monkeypatch.setattr(generator, "Scene", Watched)
    spec = SMALL
    (tmp_path / "videos").mkdir()
    for split in SPLITS:
        generator._write_scene(tmp_path, spec, split, 0)
        assert len(casts[str(len(casts) - 1)][0]) == BODIES[split]
    bodies = [body for people, _, _ in casts.values() for body in people]
    places = [place for _, seeds, _ in casts.values() for place in seeds]
    assert len(set(bodies)) == len(bodies) and len(set(places)) == len(places)
    assert len({state for _, _, state in casts.values()}) == 3


def test_some_videos_of_the_usual_dataset_have_no_track_and_some_a_silent_one(monkeypatch, tmp_path):
    """Found by what the writer is given; frames are not drawn."""
    sounds = []

    class NoWriter:
        def __init__(self, path, width, height, rate, sound, threads):
            sounds.append(sound)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, image, time):
            pass

    monkeypatch.setattr(generator, "VideoWriter", NoWriter)
    monkeypatch.setattr(Scene, "frame", lambda self, t, number: (None, [None] * len(self.actors)))
    monkeypatch.setattr(Scene, "sound", lambda self, rate: np.ones((rate, 2), np.float32))
    for split, count in ScenesSpec().scenes.items():
        for number in range(count):
            generator._write_scene(tmp_path, SMALL, split, number)
    kinds = ["none" if sound is None else "sound" if sound[0].any() else "silent" for sound in sounds]
    assert kinds.count("none") >= 1 and kinds.count("silent") >= 1 and kinds.count("sound") > 0.85 * len(kinds)
    assert {sound[1] for sound in sounds if sound} == {44100, 48000}


@pytest.mark.parametrize(("number", "kind"), generator.TRACKS.items())
def test_a_video_without_sound_is_written_as_such(tmp_path, number, kind):
    (tmp_path / "videos").mkdir()
    generator._write_scene(tmp_path, SMALL, "val", number)
    path = tmp_path / "videos" / f"val_{number:04d}.mp4"
    assert probe(path).has_audio == (kind == "silent")
    assert np.abs(AudioReader(path).read(0, 1)).max() < 1e-4


def test_the_spec_is_kept_beside_the_dataset(scenes, scenes_spec):
    assert json.loads((scenes / "scenes.json").read_text())["seed"] == scenes_spec.seed


@pytest.mark.parametrize("change", [{"duration": 2}, {"width": 32}, {"height": 0}])
def test_scenes_too_small_to_act_in_are_refused(tmp_path, change):
    with pytest.raises(UserError, match="expected at least 48x48 pixels and 3 s"):
        generate(tmp_path / "scenes", replace(SMALL, **change), workers=1)


def test_a_folder_that_cannot_be_made_is_named(scenes_spec, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/scenes: Not a directory"):
        generate(tmp_path / "file" / "scenes", scenes_spec, workers=1)
