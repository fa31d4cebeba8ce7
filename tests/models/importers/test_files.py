import collections
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.errors import UserError
from avsf_det.models.importers import files
from avsf_det.models.importers.files import read_file, tensors_of


def refusal(path):
    """The one line that a file is refused with."""
    with pytest.raises(UserError) as caught:
        read_file(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
WRITERS = {
    "zip": lambda content, path: torch.save(content, path),
    "legacy": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    "pickle": lambda content, path: path.write_bytes(pickle.dumps(content)),
    "pickle 2": lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("container", ["model_state", "blobs", "model", "state_dict", None])
def test_tensors_are_found_wherever_they_are(tmp_path, write, container):
    write({container: STATE, "epoch": 3, "cfg": "A: 1"} if container else STATE, tmp_path / "file")
    tensors, about = tensors_of(read_file(tmp_path / "file"))
    assert tensors.keys() == STATE.keys() and all(torch.equal(tensors[name], STATE[name]) for name in STATE)
    assert about == ({"epoch": 3, "cfg": "A: 1"} if container else {})


def test_arrays_become_tensors_and_other_entries_are_left_out():
    content = {"blobs": {"conv1_w": np.ones((2, 3), np.float32), "lr": 0.1, "names": ["a"]}}
    tensors, _ = tensors_of(files.loads(pickle.dumps(content)))
    assert list(tensors) == ["conv1_w"] and torch.equal(tensors["conv1_w"], torch.ones(2, 3))


def test_the_prefix_of_a_distributed_model_is_taken_off():
    tensors, _ = tensors_of({"model_state": {f"module.module.{name}": value for name, value in STATE.items()}})
    assert tensors.keys() == STATE.keys()


@pytest.mark.parametrize("content", [[1], {}, {"model_state": {}}, {"model_state": {"a": 1}}, "text", None])
def test_content_without_tensors_is_told(content):
    with pytest.raises(ValueError, match="no weights"):
        tensors_of(content)


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (torch.zeros(1).expand(10**12), "more than are stored"),
        (torch.eye(3).to_sparse(), "no plain tensor"),
        (torch.zeros(3, device="meta"), "no plain tensor"),
    ],
)
def test_tensors_that_are_not_all_there_are_told(tensor, reason):
    with pytest.raises(ValueError, match=reason):
        tensors_of({"model_state": {"a": tensor}})


class Run:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_file_that_would_run_code_is_refused_by_name(tmp_path, write):
    write({"model_state": STATE, "label_map": Run(tmp_path / "ran")}, tmp_path / "evil.pkl")
    message = refusal(tmp_path / "evil.pkl")
    assert "posix.system" in message and "could run code" in message
    assert not (tmp_path / "ran").exists()


def test_a_name_meant_to_forge_the_message_is_cleaned(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x04\x8c\x0cos\nerror: ok\x8c\x06system\x93.")
    assert "os?error" in refusal(tmp_path / "evil.pkl")


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@given(share=st.floats(0, 0.99))
def test_a_file_cut_short_is_told(tmp_path_factory, write, share):
    path = tmp_path_factory.mktemp("cut") / "file"
    write({"model_state": STATE}, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    message = refusal(path)  # where a name is cut off, it is one that is not admitted
    assert "is damaged or no torch file" in message or "could run code" in message


def test_what_is_no_file_is_told(tmp_path):
    assert "No such file" in refusal(tmp_path / "none")
    assert "Is a directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refusal(tmp_path / "pipe")


def test_a_zip_that_grows_when_it_is_opened_is_refused(tmp_path):
    torch.save({"model_state": {"a": torch.zeros(1_000_000)}}, tmp_path / "plain.pyth")
    with zipfile.ZipFile(tmp_path / "plain.pyth") as plain, zipfile.ZipFile(tmp_path / "bomb.pyth", "w") as bomb:
        for member in plain.infolist():
            bomb.writestr(member.filename, plain.read(member), zipfile.ZIP_DEFLATED)
    assert "a zip of 4" in refusal(tmp_path / "bomb.pyth")


def test_a_storage_of_a_wrong_size_is_refused(tmp_path):
    torch.save({"model_state": {"a": torch.zeros(1000)}}, tmp_path / "plain.pyth")
    with zipfile.ZipFile(tmp_path / "plain.pyth") as plain, zipfile.ZipFile(tmp_path / "short.pyth", "w") as short:
        for member in plain.infolist():
            content = plain.read(member)
            short.writestr(member.filename, content[:10] if member.filename.endswith("data/0") else content)
    assert "is damaged" in refusal(tmp_path / "short.pyth")


def test_memory_that_is_not_there_is_told(tmp_path, monkeypatch):
    (tmp_path / "large.pkl").write_bytes(pickle.dumps({}))

    def exhausted(content):
        raise MemoryError

    monkeypatch.setattr(files, "loads", exhausted)
    assert "more than fits into memory" in refusal(tmp_path / "large.pkl")


def test_lists_within_lists_take_no_time_or_memory(tmp_path):
    nested = []
    for _ in range(60):
        nested = [nested, nested]  # 2**60 leaves
    content = {"model_state": {**STATE, "more": nested}, "cfg": nested, "heads": nested}
    (tmp_path / "laughs.pkl").write_bytes(pickle.dumps(content))
    tensors, about = tensors_of(read_file(tmp_path / "laughs.pkl"))
    assert tensors.keys() == STATE.keys() and not about


def test_what_is_asked_of_clips_is_kept_and_nothing_that_only_looks_like_it(tmp_path):
    heads = [{"name": "verb", "classes": ["take", "put"], "multi_label": False}]
    for name, value, kept in (("a", heads, True), ("b", [{**heads[0], "classes": [[]]}], False), ("c", {}, False)):
        (tmp_path / name).write_bytes(pickle.dumps({"model_state": STATE, "heads": value}))
        assert tensors_of(read_file(tmp_path / name))[1] == ({"heads": heads} if kept else {})


def test_metadata_of_a_module_s_state_dict_is_no_obstacle(tmp_path):
    state = torch.nn.Linear(2, 3).state_dict()
    assert isinstance(state, collections.OrderedDict) and hasattr(state, "_metadata")
    (tmp_path / "state.pkl").write_bytes(pickle.dumps(state))
    assert tensors_of(read_file(tmp_path / "state.pkl"))[0].keys() == state.keys()
