import pytest

from avsf_det.files import written_whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "folder" / "table.csv"
    with written_whole(target) as path:
        path.write_text("half")
        assert not target.exists() and path.suffix == ".csv"
        path.write_text("whole")
    assert target.read_text() == "whole" and list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("reason", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_fails(tmp_path, reason):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(type(reason)), written_whole(target) as path:
        path.write_text("half")
        raise reason
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
