from avsf_det.data.importers.excluded import is_excluded_name, is_of_list, read_excluded
from tests.data.importers.files import document


def test_read_excluded_names_bad_rows_and_takes_a_header():
    times, bad = read_excluded(document("video,second\na,0902\na,x\n,3\n", "ava_val_excluded_timestamps_v2.2.csv"))
    assert [one[:3] for one in times] == [("a", 902, "val")]
    assert [line.split(": ")[0] for line in bad] == [f"ava_val_excluded_timestamps_v2.2.csv:{n}" for n in (3, 4)]
    assert read_excluded(document("", "x_excluded.csv")) == ([], [])


def test_names_of_lists():
    assert is_excluded_name("ava_val_excluded_timestamps_v2.2") and not is_excluded_name("ava_val_v2.2")
    assert is_of_list("ava_val_excluded_timestamps_v2.2", "ava_val_v2.2")
    assert not is_of_list("ava_train_excluded_timestamps_v2.2", "ava_val_v2.2")
