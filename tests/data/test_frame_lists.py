import pytest

from avsf_det.data.frame_lists import HEADER, ListedFrames, read_frame_list
from avsf_det.errors import UserError


def test_videos_have_the_folder_and_the_number_of_their_frames(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(f'{HEADER}\nv 0 0 v/v_000001.jpg ""\nv 0 1 v/v_000002.jpg "3,12"\nw 1 0 sub/w.mkv/1.jpg ""\n\n')
    assert read_frame_list(path) == {"v": ListedFrames("v", 2), "w": ListedFrames("sub/w.mkv", 1)}


def test_a_bad_row_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "val.csv").write_text(f"{HEADER}\nv 0 0\n")
    with pytest.raises(UserError, match=r"val.csv:2: got 3 columns, expected original_vido_id video_id"):
        read_frame_list(tmp_path / "val.csv")
    with pytest.raises(UserError, match=r"none.csv: cannot be read as a frame list"):
        read_frame_list(tmp_path / "none.csv")
