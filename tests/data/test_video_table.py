import pytest

from avsf_det.data.video_table import recorded_frame_rates
from avsf_det.errors import UserError

HEADER = "video,file,fps,duration,sound,source\n"


def test_each_folder_of_frames_has_its_rate(tmp_path):
    table = tmp_path / "videos.csv"
    assert recorded_frame_rates(table) == {}
    rows = '"walk, 1","frames/walk, 1",25,3,1,/w\nsit,frames/sit,29.970,3,0,/s\nfilm,videos/film.mp4,,3,0,/f\n'
    table.write_text(f"\ufeff{HEADER}{rows}", encoding="utf-8")
    assert recorded_frame_rates(table) == {"walk, 1": 25, "sit": 29.97}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}walk,frames/walk,fast,3,1,/w\n", "videos.csv: cannot be read .*fast.*; expected video,file,fps"),
        (f"{HEADER}walk,frames/walk,0,3,1,/w\n", "videos.csv: walk has 0 frames a second, expected more than 0"),
        ("video,file\nwalk,frames/walk\n", "videos.csv: cannot be read .*fps"),
    ],
)
def test_a_rate_that_is_none_is_told(tmp_path, text, message):
    (tmp_path / "videos.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        recorded_frame_rates(tmp_path / "videos.csv")
