import collections
import pickle

import numpy as np
import pytest
import torch

from avsf_det.models.importers.files import tensors_of
from avsf_det.unpickle import loads
from avsf_det.weight_file import read_file

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
    tensors, _ = tensors_of(loads(pickle.dumps(content)))
    assert list(tensors) == ["conv1_w"] and torch.equal(tensors["conv1_w"], torch.ones(2, 3))


def test_tensors_of_a_prefix_repeated_many_times_strips_it_at_once():
    tensors, _ = tensors_of({"module." * 100_000 + name: value for name, value in STATE.items()})
    assert tensors.keys() == STATE.keys()


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
