import builtins
import collections
import contextlib
import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from avsf_det import unpickle_builders
from avsf_det.unpickle import LEGACY_START, loads
from avsf_det.unpickle_builders import Array, Excessive, Refused

NUMBERS = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(),
    npst.floating_dtypes(sizes=(16, 32, 64)),
    npst.unsigned_integer_dtypes(),
)


@given(npst.arrays(NUMBERS, npst.array_shapes(min_dims=0, min_side=0, max_side=4)), st.integers(0, 5), st.booleans())
def test_arrays_come_as_they_were(array, protocol, fortran):
    array = np.asfortranarray(array) if fortran else array
    found = loads(pickle.dumps({"a": array, "b": [array]}, protocol=protocol))
    assert isinstance(found["a"], Array)
    np.testing.assert_array_equal(found["a"].tensor.numpy(), array)
    np.testing.assert_array_equal(found["b"][0].tensor.numpy(), array)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    ),
    st.integers(0, 5),
)
def test_plain_values_come_as_they_were(value, protocol):
    assert loads(pickle.dumps(value, protocol=protocol)) == value


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_torch_and_numpy_leaves_come_as_they_were(protocol):
    state = collections.OrderedDict(weight=torch.arange(6.0).reshape(2, 3).t(), bias=torch.nn.Parameter(torch.ones(2)))
    state._metadata = {"": {"version": 1}}
    found = loads(pickle.dumps({"state": state, "lr": np.float32(0.5), "step": np.int64(7)}, protocol=protocol))
    assert torch.equal(found["state"]["weight"], state["weight"]) and torch.equal(found["state"]["bias"], state["bias"])
    assert found["lr"] == 0.5 and found["step"] == 7


def test_a_pickle_of_python_2_opens():
    """As Caffe2's are: protocol 2, where texts and an array's bytes are Python 2's `str`, and numpy's old module."""

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value

    array = np.array([[1.5, -2.0, 3.25]], ">f4")
    dtype = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    content = b"\x80\x02}" + text(b"conv1_w") + start + b"(K\x01(K\x01K\x03t" + dtype + b"\x89" + text(array.tobytes())
    found = loads(content + b"tbs.")
    assert found["conv1_w"].tensor.tolist() == array.tolist()


class Call:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def stack_global(module, name, rest):
    """A pickle of protocol 4 that names `module.name`, dots and all, and then does `rest`."""
    words = b"".join(b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name))
    return b"\x80\x04" + words + b"\x93" + rest


@pytest.mark.parametrize(
    "make",
    [
        lambda path: pickle.dumps({"model": Call(os.mkdir, path)}),
        lambda path: pickle.dumps([np.zeros(3), Call(os.system, f"mkdir {path}")], protocol=2),
        lambda path: pickle.dumps(Call(eval, f"__import__('os').mkdir({path!r})")),
        lambda path: pickle.dumps(Call(builtins.exec, f"import os; os.mkdir({path!r})"), protocol=0),
        lambda path: b"cbuiltins\ngetattr\n(cposix\n__dict__\nU\x05mkdirtR.",
        lambda path: f"(cos\nmkdir\nV{path}\no.".encode(),
        lambda path: f"(V{path}\nios\nmkdir\n.".encode(),
        lambda path: b"cos\nsystem\n(U" + bytes([len(f"mkdir {path}")]) + f"mkdir {path}".encode() + b"tR.",
        lambda path: stack_global("numpy.core.multiarray", "_reconstruct.__globals__", b"."),
        lambda path: stack_global("numpy", "core.multiarray._reconstruct", b"."),
        lambda path: stack_global("numpy", "load", b"."),
        lambda path: stack_global("numpy._core.multiarray", "os.system", b"."),
        lambda path: stack_global("torch", "load", b"."),
        lambda path: stack_global("torch.storage", "_load_from_bytes.__globals__", b"."),
        lambda path: stack_global("avsf_det.unpickle", "loads", b"."),
        lambda path: stack_global("torch", "float32.__class__", b"."),
        lambda path: stack_global("torch", "bits8", b"."),
        lambda path: stack_global("torch", "Tensor", b"K\x05\x85R."),  # a type is not called
        lambda path: stack_global("builtins", "bytearray", b"J\xff\xff\xff\x7f\x85R."),
        lambda path: b"\x80\x02ccollections\nOrderedDict\n)\x81.",  # __new__
        lambda path: b"\x80\x02\x82\x01.",  # a registered extension
        lambda path: b"Pname\n.",  # a persistent id
        # a state, which would be set on the class for all that come later
        lambda path: b"\x80\x02ccollections\nOrderedDict\n}U\x04copyNsb.",
        lambda path: b"\x80\x02cnumpy\ndtype\n}U\x07restoreNsb.",
        # objects instead of numbers
        lambda path: pickle.dumps(np.array([Call(os.mkdir, path)], dtype=object)),
        lambda path: pickle.dumps(np.array([None, 1], dtype=object), protocol=2),
        lambda path: pickle.dumps(np.zeros(2, [("a", "f4")])),
    ],
)
def test_what_could_run_code_is_refused_and_does_not_run(tmp_path, make):
    with pytest.raises(Refused) as caught:
        loads(make(str(tmp_path / "ran")))
    assert str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_what_is_refused_is_named(tmp_path):
    with pytest.raises(Refused, match=r"posix\.mkdir"):
        loads(pickle.dumps(Call(os.mkdir, str(tmp_path / "ran"))))


def test_code_inside_a_tensor_s_storage_does_not_run_either(tmp_path):
    inner = LEGACY_START + pickle.dumps(Call(os.mkdir, str(tmp_path / "ran")), protocol=2)
    content = stack_global(
        "torch.storage", "_load_from_bytes", b"B" + struct.pack("<i", len(inner)) + inner + b"\x85R."
    )
    with pytest.raises(Refused, match="mkdir"):
        loads(content)
    assert not (tmp_path / "ran").exists()


def test_a_zip_inside_a_pickle_is_refused():
    zipped = io.BytesIO()
    torch.save(torch.zeros(4), zipped)
    with pytest.raises(Refused, match="storage"):
        loads(pickle.dumps(Call(torch.storage._load_from_bytes, zipped.getvalue())))


@pytest.mark.parametrize(
    ("size", "stride", "offset"), [((100,), (1,), 0), ((2, 2), (3, 1), 0), ((4,), (1,), 1), ((4,), (-1,), 3)]
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(size, stride, offset):
    storage = torch.zeros(4).storage()
    rebuild = torch._utils._rebuild_tensor_v2
    with pytest.raises(ValueError, match=r"in a storage of 4|sizes that no array has"):
        loads(pickle.dumps(Call(rebuild, storage, offset, size, stride, False, collections.OrderedDict())))


def test_an_array_of_more_numbers_than_bytes_is_refused():
    content = pickle.dumps(np.zeros(3, np.float32), protocol=2)
    huge = content.replace(b"K\x03\x85", b"\x8a\x06\x00\x00\x00\x00\x00\x01\x85", 1)
    assert huge != content
    with pytest.raises(ValueError, match=r"in 12 bytes|sizes that no array has"):
        loads(huge)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # remembers under the number 2**31 - 1
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\x00\x00\x00abc.",  # a terabyte of bytes, of which three are there
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00abc.",
    ],
)
def test_a_pickle_that_claims_a_lot_takes_no_memory(content):
    with contextlib.suppress(EOFError, MemoryError, pickle.UnpicklingError):
        assert loads(content) is None


@given(st.binary(max_size=100))
def test_other_bytes_give_an_exception_or_a_value(content):
    try:
        loads(content)
    except Exception as error:
        assert isinstance(error, Exception)


WHOLE = pickle.dumps({"a": np.zeros(3), "b": torch.zeros(2), "c": "text"}, protocol=2)  # its length varies by a byte


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.integers(0, len(WHOLE)))
def test_a_damaged_pickle_gives_an_exception_or_a_value(position, byte, length):
    content = bytearray(WHOLE)
    content[position] = byte
    try:
        loads(bytes(content[:length]))
    except Exception as error:
        assert isinstance(error, Exception)


def test_admitted_names_are_all_builders_of_our_own():
    for (module, name), method in unpickle_builders.BUILDERS.items():
        assert isinstance(unpickle_builders.admitted(module, name), unpickle_builders.Call)
        assert callable(getattr(unpickle_builders.Builders, method))
    names = {argument for _, argument, _ in pickletools.genops(pickle.dumps(torch.zeros(1), 2)) if argument}
    assert "torch._utils _rebuild_tensor_v2" in names


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


ENCODE, MEGABYTE = b"c_codecs\nencode\nq\x00", text(b"x" * 2**20) + b"q\x01"


@pytest.mark.parametrize(
    "content",
    [
        ENCODE + MEGABYTE + b"](" + b"h\x00h\x01\x85R" * 100 + b"e.",  # a megabyte, encoded again and again
        b"\x80\x02ccollections\nOrderedDict\nq\x00](" + b"K\x01K\x02\x86" * 10_000 + b"eq\x01]("
        b"" + b"h\x00h\x01\x85R" * 10_000 + b"e.",  # a long list, made a dict again and again
        b"\x80\x02]q\x00h\x00a.",  # a list within itself
        b"\x80\x02}q\x00K\x01h\x00s.",
        b"]" * 5000 + b"a" * 4999 + b".",  # lists within lists
        b")" + b"\x85" * 5000 + b".",
        b"\x8b" + struct.pack("<i", 1000) + b"\x7f" * 1000 + b".",  # an integer of 2400 digits
    ],
    ids=["encode", "dicts", "cycle", "cycle of a dict", "deep lists", "deep tuples", "integer"],
)
def test_loads_of_a_small_pickle_that_grows_is_refused(content):
    with pytest.raises(Excessive):
        loads(content)


def test_loads_of_too_many_instructions_is_refused(monkeypatch):
    monkeypatch.setattr(unpickle_builders, "MAX_OBJECTS", 1000)
    assert loads(b"N0" * 490 + b"N.") is None
    with pytest.raises(Excessive, match="1000 instructions"):
        loads(b"N0" * 500 + b"N.")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.",  # hashing it would overflow the stack of the processor
        b"\x80\x04\x8f(" + b")" + b"\x85" * 100_000 + b"\x90.",
        b"\x80\x04()" + b"\x85" * 100_000 + b"\x91.",
        b"(" + b")" + b"\x85" * 100_000 + b"Nd.",
    ],
    ids=["item", "set", "frozen set", "dict"],
)
def test_loads_of_a_deep_tuple_as_a_key_is_refused(content):
    with pytest.raises(ValueError, match="a key of type tuple"):
        loads(content)


@pytest.mark.parametrize(
    "dtype",
    [
        b"(K\x03U\x01<U\x01aNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",  # a subtype
        b"(K\x03U\x01<N(U\x01at}U\x01aNsK\x64K\x01K\x00tb",  # fields, of 100 bytes an item
        b"(K\x03U\x01<NN}J\xff\xff\xff\x7fJ\xff\xff\xff\x7fK\x00tb",
    ],
)
def test_loads_of_a_dtype_with_a_crafted_state_is_refused(dtype):
    with pytest.raises(Refused, match="structured"):
        loads(b"\x80\x02cnumpy\ndtype\n(U\x02f4K\x00K\x01tR" + dtype + b".")


@pytest.mark.parametrize(
    "shape", ["(-1,)", "(0, 2**62)", "(2**31, 2**33)", "(float('nan'),)", "('3',)", "3", "((3,),)"]
)
def test_loads_of_an_array_of_an_impossible_shape_is_refused(shape):
    array = np.zeros(3, np.float32)
    kind, arguments, (version, _, dtype, fortran, raw) = array.__reduce__()
    state = version, shape, dtype, fortran, raw

    class Crafted:
        def __reduce__(self):
            return kind, arguments, state

    with pytest.raises(ValueError):
        loads(pickle.dumps(Crafted(), protocol=2))


@pytest.mark.parametrize("code", [b"R", b"b", b"s", b"u", b"a", b"e", b"\x90"])
def test_loads_of_an_instruction_on_another_type_is_an_error(code):
    tensor = pickle.dumps(torch.zeros(3), protocol=2)[2:-1]
    for target in (tensor, b"U\x03abc", b"K\x01", b"cnumpy\ndtype\n"):
        with pytest.raises((ValueError, Refused, TypeError)):
            loads(target + (b"(" if code in b"ue\x90" else b"") + b"K\x00K\x01" + code + b".")
