import cv2
import numpy as np
import pytest

from avsf_det.media.shots import Changes, as_array, cuts_of, find_cuts, resume_times
from avsf_det.media.writer import VideoWriter

FPS = 25
BLACK, WHITE, PURPLE = (0, 0, 0), (255, 255, 255), (90, 0, 60)


def film(path, *shots):
    """A video of (seed, frames) shots: a picture of coloured tiles for each seed, that pans by a pixel a frame."""
    with VideoWriter(path, 96, 64, FPS) as video:
        number = 0
        for seed, frames in shots:
            tiles = np.random.default_rng(seed).integers(0, 255, (4, 12, 3), dtype=np.uint8)
            place = tiles.repeat(16, axis=0).repeat(16, axis=1)
            for shift in range(frames):
                video.write(place[:, shift : shift + 96], number / FPS)
                number += 1
    return path


class Shown:
    """A decoded frame."""

    def __init__(self, time, pixels):
        self.time, self.pixels = time, pixels

    def image(self, height, width):
        return cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA)


def scene(seed, decorate):
    """A (72, 128, 3) image with soft shapes."""
    small = np.random.default_rng(seed).integers(20, 235, (5, 8, 3)).astype(np.uint8)
    return decorate(cv2.resize(small, (128, 72), interpolation=cv2.INTER_CUBIC))


def plain(image):
    return image


def letterboxed(image):
    image = image.copy()
    image[:9] = image[-9:] = 0
    return image


def with_logo(image):
    image = image.copy()
    image[4:10, 108:124] = 250
    return image


def fade(one, other, color, ramp, blank, fps=FPS, decorate=plain):
    """Frames of scene `one` for 1 s, a fade to `color`, `blank` seconds of it, a fade to scene `other`, 1.4 s of it."""
    ground = decorate(np.full((72, 128, 3), color, np.uint8))
    steps = np.arange(1, round(ramp * fps) + 1) / max(1, round(ramp * fps))
    weights = [(one, 1.0)] * fps + [(one, 1 - step) for step in steps] + [(one, 0.0)] * max(1, round(blank * fps))
    weights += [(other, step) for step in steps] + [(other, 1.0)] * round(1.4 * fps)
    images = {seed: scene(seed, decorate) for seed in (one, other)}
    noise = np.random.default_rng(0)
    for number, (seed, weight) in enumerate(weights):
        image = weight * images[seed] + (1 - weight) * ground + noise.normal(0, 1.5, ground.shape)
        yield Shown(number / fps, image.clip(0, 255).astype(np.uint8))


def changes_of(frames):
    changes = Changes()
    return [changes.see(frame) for frame in frames]


def test_each_new_shot_is_a_cut_at_its_first_frame(tmp_path):
    path = film(tmp_path / "film.mp4", (1, 30), (2, 20), (1, 40))
    assert find_cuts(path) == pytest.approx([30 / FPS, 50 / FPS])


def test_a_moving_camera_is_no_cut(tmp_path):
    assert find_cuts(film(tmp_path / "film.mp4", (1, 90))) == []


def test_a_flash_is_no_cut(tmp_path):
    path = tmp_path / "film.mp4"
    with VideoWriter(path, 96, 64, FPS) as video:
        for number in range(40):
            video.write(np.full((64, 96, 3), 255 if number == 20 else 60, np.uint8), number / FPS)
    assert find_cuts(path) == []


def test_a_cut_that_is_blended_over_a_frame_is_found_once(tmp_path):
    path = tmp_path / "film.mp4"
    with VideoWriter(path, 96, 64, FPS) as video:
        for number in range(40):
            grey = 40 if number < 20 else 120 if number == 20 else 220
            video.write(np.full((64, 96, 3), grey, np.uint8), number / FPS)
    assert len(find_cuts(path)) == 1


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_very_short_video_has_no_cut(tmp_path, frames):
    assert find_cuts(film(tmp_path / "film.mp4", (1, frames))) == []


FADES = [
    *((ramp, blank, BLACK, plain) for ramp, blank in ((0, 0.04), (0, 1.4), (0.08, 0.04), (0.7, 0.04))),
    *((0.5, 0.4, color, decorate) for color in (BLACK, WHITE, PURPLE) for decorate in (plain, letterboxed, with_logo)),
    *((0.1, 0.04, color, letterboxed) for color in (WHITE, PURPLE)),
]


@pytest.mark.parametrize(("ramp", "blank", "color", "decorate"), FADES)
def test_cuts_of_fade_within_a_scene_is_empty(color, ramp, blank, decorate):
    assert cuts_of(changes_of(fade(1, 1, color, ramp, blank, decorate=decorate))) == []


@pytest.mark.parametrize(("ramp", "blank", "color", "decorate"), FADES)
def test_cuts_of_fade_between_scenes_is_one_at_its_middle(color, ramp, blank, decorate):
    cuts = cuts_of(changes_of(fade(1, 2, color, ramp, blank, decorate=decorate)))
    assert cuts == pytest.approx([1 + ramp + blank / 2], abs=0.1)


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_cuts_of_fade_do_not_depend_on_the_frame_rate(fps):
    assert cuts_of(changes_of(fade(1, 1, BLACK, 0.3, 0.3, fps))) == []
    assert cuts_of(changes_of(fade(1, 2, BLACK, 0.3, 0.3, fps))) == pytest.approx([1.45], abs=0.16)


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_cuts_of_camera_flashes_is_empty(frames):
    image = scene(1, plain)
    bright = (image.astype(int) // 3 + 170).astype(np.uint8)
    shown = [bright if 20 <= number < 20 + frames or number == 35 else image for number in range(70)]
    assert cuts_of(changes_of(Shown(number / FPS, image) for number, image in enumerate(shown))) == []


def test_cuts_of_short_shot_are_both_its_ends():
    images = [scene(seed, plain) for seed in [1] * 25 + [2] * 10 + [1] * 25]
    cuts = cuts_of(changes_of(Shown(number / FPS, image) for number, image in enumerate(images)))
    assert cuts == pytest.approx([1.0, 1.4])


def test_cuts_of_second_fade_compares_with_the_scene_before_it():
    first = list(fade(1, 2, BLACK, 0.2, 0.1))
    later = [Shown(first[-1].time + 1 / FPS + frame.time, frame.pixels) for frame in fade(2, 2, WHITE, 0, 0.08)]
    assert cuts_of(changes_of(first + later)) == pytest.approx([1.25], abs=0.1)


@pytest.mark.parametrize("other", [1, 2])
def test_resume_times_within_a_fade_give_the_same_changes(other):
    frames = list(fade(1, other, BLACK, 0.3, 0.3))
    whole = changes_of(frames)
    for known in range(0, len(frames), 3):
        times = resume_times(as_array(whole[:known]))
        rest = changes_of([frame for frame in frames if not times or frame.time >= times[0]])
        rest = [change for change in rest if not times or change.time > times[1]]
        np.testing.assert_array_equal(as_array(whole[:known] + rest), as_array(whole))


def test_find_cuts_reads_fades_of_an_encoded_video(tmp_path):
    for other, expected in ((1, []), (2, [1.6])):
        path = tmp_path / f"{other}.mp4"
        with VideoWriter(path, 128, 72, FPS) as video:
            for frame in fade(1, other, BLACK, 0.4, 0.4):
                video.write(frame.pixels, frame.time)
        assert find_cuts(path) == pytest.approx(expected, abs=0.1)


def test_cuts_of_dip_while_the_camera_pans_is_empty():
    place = np.concatenate([scene(1, plain), scene(2, plain)], axis=1)
    images = [place[:, number // 4 : number // 4 + 128] for number in range(90)]
    images[40:65] = [np.zeros_like(images[0])] * 25
    assert cuts_of(changes_of(Shown(number / FPS, image) for number, image in enumerate(images))) == []
