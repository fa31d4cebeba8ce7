import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_eval.errors import InputError
from ava_eval.pickle_file import load_pickle

torch = pytest.importorskip("torch")


@pytest.fixture
def dumped(tmp_path):
    """dumped(content, protocol): path of its pickle; of bytes, the file itself."""

    def dump(content, protocol=2):
        path = tmp_path / "x.pkl"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
        return path

    return dump


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array(3, dtype=">i4"),
    np.zeros((0, 4), dtype=np.float16),
    np.array([True, False]),
]
TENSORS = [
    torch.arange(6.0).reshape(2, 3),
    torch.arange(6).reshape(2, 3).T,
    torch.rand(4, 5)[1:3, ::2],
    torch.zeros(0, 4),
    torch.rand(3).half(),
    torch.rand(3).bfloat16(),
    torch.rand(3, dtype=torch.float64),
    torch.tensor([True, False]),
]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_load_pickle_arrays_come_back(dumped, protocol):
    loaded = load_pickle(dumped({"a": ARRAYS, "b": (1, "x", None, np.float64(2.5))}, protocol))
    for array, again in zip(ARRAYS, loaded["a"]):
        np.testing.assert_array_equal(again, array)
        assert again.shape == array.shape and again.dtype == array.dtype.newbyteorder("=")
    assert loaded["b"] == (1, "x", None, 2.5)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_load_pickle_tensors_become_arrays(dumped, protocol):
    for tensor, again in zip(TENSORS, load_pickle(dumped(TENSORS, protocol))):
        np.testing.assert_array_equal(
            again, tensor.float().numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()
        )


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        Evil(os.system, "touch pwned"),
        Evil(os.mkdir, "pwned"),
        Evil(eval, "open('pwned', 'w')"),
        {"a": [Evil(getattr, dict, "get")]},
        Evil(torch.load, "x"),
        np.array([Evil(os.mkdir, "pwned")], dtype=object),
        torch.nn.Linear(1, 1),
        pickle.dumps,
        b"cos\nsystem\n(S'touch pwned'\ntR.",
        b"(S'touch pwned'\nios\nsystem\n.",
        b"\x80\x02cbuiltins\nbytes\n\x8a\x05\x00\x00\x00\x00\x7f\x85R.",
        b"\x80\x02ctorch.storage\n_load_from_bytes\nU\x04PK\x03\x04\x85R.",
        b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",
        b"\x80\x02cnumpy\nndarray\n)R.",
        b"\x82\x01.",
    ],
    ids=lambda content: type(content).__name__,
)
def test_load_pickle_whatever_could_run_is_refused(dumped, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = dumped(content)
    with pytest.raises(InputError, match=r"x\.pkl: (holds|not a pickle)"):
        load_pickle(path)
    assert os.listdir(tmp_path) == ["x.pkl"]


def test_load_pickle_tensor_beyond_its_storage_is_refused(dumped):
    content = pickle.dumps(torch.arange(4.0), 2)
    for shape in (b"K\x05\x85", b"J" + struct.pack("<i", -4) + b"\x85"):
        assert b"K\x04\x85" in content
        with pytest.raises(InputError):
            load_pickle(dumped(content.replace(b"K\x04\x85", shape)))


def test_load_pickle_empty_missing_and_damaged_files_are_named(dumped, tmp_path):
    for content in (b"", b"nonsense", pickle.dumps(ARRAYS)[:-20]):
        with pytest.raises(InputError, match=r"x\.pkl: "):
            load_pickle(dumped(content))
    with pytest.raises(InputError, match="No such file"):
        load_pickle(tmp_path / "none.pkl")


SEED = pickle.dumps({"a": ARRAYS, "b": TENSORS[:2]}, 2)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_load_pickle_flipped_bytes_load_or_are_refused(tmp_path_factory, data):
    content = bytearray(SEED)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=6)):
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "flipped.pkl"
    path.write_bytes(content)
    try:
        load_pickle(path)
    except InputError as error:
        assert "\n" not in str(error)
