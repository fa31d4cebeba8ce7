import numpy as np
import pytest

from avsf_det.media.shots import find_cuts
from avsf_det.media.writer import VideoWriter

FPS = 25


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
