import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.engine.many.job import DONE, FAILED, Outcome
from avsf_det.engine.many.manifest import FILE, Manifest, _outcome
from avsf_det.engine.many.storage import Storage

FILES = {"a.mp4": {"bytes": 3, "sha256": "ab"}}


@pytest.fixture(params=["path", "address"])
def storage(request, tmp_path):
    return Storage({"path": tmp_path / "out", "address": f"local://{tmp_path}/out"}[request.param])


def test_the_last_line_of_a_video_counts_over_runs_and_each_has_one(storage, tmp_path):
    (tmp_path / "out").mkdir()
    first, second = (
        Outcome("/a.mp4", "a", FAILED, "no"),
        Outcome("/a.mp4", "a", DONE, files=FILES, seconds=1.5, key="k"),
    )
    other = Outcome("s3://bucket/ä.mp4", "ä", DONE)
    manifest = Manifest(storage)
    for outcome in (first, other, second):
        manifest.add(outcome)
    manifest.write()
    again = Manifest(storage)
    assert (again.get("/a.mp4"), again.get(other.video), again.get("b")) == (second, other, None)
    assert len((tmp_path / "out" / FILE).read_text().splitlines()) == len(again) == 2
    assert again.names_of_others({"/a.mp4"}) == {"ä"}


def test_on_a_disk_each_outcome_is_there_at_once_and_a_line_cut_short_is_passed_over(tmp_path):
    storage = Storage(tmp_path)
    Manifest(storage).add(Outcome("/a.mp4", "a", DONE))
    Manifest(storage).add(Outcome("/b.mp4", "b", DONE))
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text[:-9])
    manifest = Manifest(storage)
    manifest.add(Outcome("/c.mp4", "c", DONE))
    assert [json.loads(line)["name"] for line in (tmp_path / FILE).read_text().splitlines()] == ["a", "c"]


@pytest.mark.parametrize(
    "changes",
    [{"name": "../a"}, {"name": ".."}, {"name": ""}, {"name": 3}, {"files": {"../a": FILES["a.mp4"]}}, {"files": [3]},
     {"files": {"a": {}}}, {"files": {"a": {"bytes": "3"}}}, {"state": "halted"}, {"video": None}],
)  # fmt: skip
def test_a_line_that_would_lead_out_of_the_folder_or_is_none_is_passed_over(changes):
    good = {"video": "/a.mp4", "name": "a", "state": DONE, "reason": "", "files": FILES, "seconds": 1, "worker": "",
            "attempts": 1, "found": "", "key": ""}  # fmt: skip
    assert _outcome(json.dumps(good).encode()) and not _outcome(json.dumps(good | changes).encode())


@given(
    st.binary(max_size=40) | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_anything_else_in_the_file_is_passed_over(line):
    assert _outcome(line) is None
