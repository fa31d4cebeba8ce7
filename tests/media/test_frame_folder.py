import numpy as np
import pytest
from PIL import Image

from avsf_det.errors import UserError
from avsf_det.media.frame_folder import FrameFolderReader, frame_names, picture_fault


@pytest.fixture
def folder(tmp_path):
    """A function that makes a folder of grey 40x30 pictures, as bright as their number."""

    def make(numbers, form="film_{:06d}.jpg"):
        path = tmp_path / "film"
        path.mkdir(exist_ok=True)
        for number in numbers:
            Image.fromarray(np.full((30, 40, 3), number, np.uint8)).save(path / form.format(number))
        return path

    return make


def shown(reader, *times):
    return np.round(reader.frames_at(np.array(times)).mean(axis=(1, 2, 3))).astype(int).tolist()


def test_frame_n_is_on_display_from_its_thirtieth_of_a_second_as_in_pyslowfast(folder):
    with FrameFolderReader(folder(range(1, 91))) as reader:
        assert shown(reader, 0.0, 1 / 30, 2 / 30 - 0.01, 1.0, 2.0) == [1, 2, 2, 31, 61]
        assert (reader.info.duration, reader.info.picture_start) == (3.0, 0.0)
        assert reader.info.fps == 30 and not reader.info.has_audio


def test_times_beyond_the_ends_are_the_nearest_frame_and_order_does_not_matter(folder):
    with FrameFolderReader(folder(range(1, 11))) as reader:
        assert shown(reader, 9.0, -5.0, 0.1, 0.0) == [10, 1, 4, 1]


def test_another_rate_and_numbers_from_zero(folder):
    with FrameFolderReader(folder(range(0, 50)), fps=25) as reader:
        assert shown(reader, 0.0, 1.0) == [0, 25] and reader.info.duration == 2.0


def test_a_missing_picture_leaves_the_one_before_on_display_and_is_counted(folder):
    path = folder([1, 2, 3, 6, 7])
    with FrameFolderReader(path) as reader:
        assert shown(reader, 3 / 30, 4 / 30, 5 / 30) == [3, 3, 6]
    assert frame_names(path).absent == 2


@pytest.mark.parametrize("form", ["film_{:06d}.jpg", "{}.png", "img-{:05d}.JPEG", "a.b 7_{:03d}.bmp"])
def test_names_may_be_of_any_form_that_ends_in_a_number(folder, form):
    path = folder(range(1, 13), form)
    (path / "notes.txt").touch()
    assert shown(FrameFolderReader(path), 10 / 30) == [11]


def test_frames_are_scaled_by_their_short_side(folder):
    reader = FrameFolderReader(folder([1]), short_side=15)
    assert reader.frames_at(np.zeros(2)).shape == (2, 15, 20, 3) and (reader.height, reader.width) == (15, 20)


def test_colours_keep_their_order(tmp_path):
    Image.fromarray(np.full((8, 8, 3), (250, 10, 90), np.uint8)).save(tmp_path / "1.png")
    assert FrameFolderReader(tmp_path).frames_at(np.zeros(1))[0, 0, 0].tolist() == [250, 10, 90]


def test_a_folder_without_pictures_and_one_that_is_not_there_are_user_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no picture in this folder; expected frames such as empty_000001.jpg"):
        FrameFolderReader(tmp_path / "empty")
    with pytest.raises(UserError, match=r"missing: the folder of frames cannot be read"):
        frame_names(tmp_path / "missing")


def test_a_broken_picture_is_named(folder):
    path = folder([1, 2])
    (path / "film_000002.jpg").write_bytes(b"no picture")
    reader = FrameFolderReader(path)
    with pytest.raises(UserError, match=r"film_000002.jpg: cannot be read as a picture"):
        reader.frames_at(np.array([1 / 30]))


def test_a_folder_that_has_grown_is_listed_anew(folder):
    assert len(frame_names(folder([1])).numbers) == 1
    assert len(frame_names(folder([1, 2])).numbers) == 2


def test_suffixes_and_digits_may_differ_and_hidden_files_are_no_frames(folder):
    path = folder(range(1, 10))
    for number in (3, 4):
        (path / f"film_{number:06d}.jpg").rename(path / f"film_{number}.JPG")
    for name in ("._film_000001.jpg", "._film_000002.jpg", "thumb_7.jpg", "Thumbs.db"):
        (path / name).touch()
    names = frame_names(path)
    assert names.numbers.tolist() == list(range(1, 10)) and names.absent == 0 and names.others == 1
    assert shown(FrameFolderReader(path), 2 / 30, 3 / 30, 4 / 30) == [3, 4, 5]


def test_what_is_wrong_with_a_picture_is_seen_from_its_file(folder):
    path = folder([1, 2, 3, 4])
    file = {number: path / f"film_{number:06d}.jpg" for number in range(1, 6)}
    file[2].write_bytes(b"")
    file[3].write_bytes(file[1].read_bytes()[:200])
    file[4].write_bytes(b"<html>not found</html>")
    assert [picture_fault(file[n]) for n in file] == ["", "is empty", "is cut off", "is no picture", "is missing"]
    assert frame_names(path).is_missing(np.array([0, 1, 5])).tolist() == [False, False, False]


def test_a_folder_whose_first_picture_is_broken_is_read(folder):
    path = folder([1, 2])
    (path / "film_000001.jpg").write_bytes(b"")
    assert shown(FrameFolderReader(path), 1 / 30) == [2]


@pytest.mark.parametrize("size", [(8192, 8192), (330, 10), (1, 33)])
def test_frame_folder_picture_too_large_or_elongated_is_refused_with_its_size(tmp_path, size):
    Image.new("L", size).save(tmp_path / "film_000001.png")
    with pytest.raises(UserError, match=f"film_000001.png: its frames are {size[0]}x{size[1]} pixels; expected"):
        FrameFolderReader(tmp_path)


@pytest.mark.parametrize("size", [(7680, 4320), (320, 10)])
def test_frame_folder_picture_within_the_limits_is_accepted(tmp_path, size):
    Image.new("L", size).save(tmp_path / "film_000001.png")
    with FrameFolderReader(tmp_path) as reader:
        assert (reader.width, reader.height) == size
