import io
import os
import pickle
import random
import struct
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det import weight_file
from avsf_det.errors import UserError
from avsf_det.weight_file import read_file

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
WRITERS = {
    "zip": lambda content, path: torch.save(content, path),
    "legacy": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    "pickle": lambda content, path: path.write_bytes(pickle.dumps(content)),
    "pickle 2": lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)),
}


def refusal(path):
    """The one line that a file is refused with."""
    with pytest.raises(UserError) as caught:
        read_file(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


class Run:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Rebuilt:
    """Pickles to a call of `_rebuild_tensor_v2` on a storage."""

    def __init__(self, storage, offset, size, stride):
        self.arguments = storage, offset, size, stride, False, {}

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


@pytest.mark.parametrize("writer", ["zip", "legacy"])
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64]
)
def test_read_file_of_each_dtype_gives_what_torch_load_gives(tmp_path, writer, dtype):
    base = torch.arange(24).reshape(2, 3, 4).to(dtype)
    content = {"view": base[:, 1:].transpose(0, 2), "tied": base, "scalar": base[0, 0, 1], "empty": base[:0]}
    WRITERS[writer](content, tmp_path / "file")
    found, expected = read_file(tmp_path / "file"), torch.load(tmp_path / "file", weights_only=True)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) and found[name].dtype == dtype for name in found)
    assert found["view"].untyped_storage().data_ptr() == found["tied"].untyped_storage().data_ptr()


def test_read_file_of_a_float8_tensor_gives_its_dtype(tmp_path):
    content = torch.linspace(-2, 2, 8).to(torch.float8_e4m3fn)
    torch.save({"a": content}, tmp_path / "file")
    assert torch.equal(read_file(tmp_path / "file")["a"].float(), content.float())


def test_read_file_of_a_training_checkpoint_gives_its_optimizer_and_generators(tmp_path):
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save({**parts, "rng": torch.get_rng_state(), "python": random.getstate()}, tmp_path / "file")
    found = read_file(tmp_path / "file")
    optimizer.load_state_dict(found["optimizer"])
    scheduler.load_state_dict(found["scheduler"])
    assert scheduler.milestones == {3: 1, 5: 1}
    assert torch.equal(found["rng"], torch.get_rng_state()) and found["python"] == random.getstate()


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_read_file_of_one_that_would_run_code_names_it(tmp_path, write):
    write({"model_state": STATE, "label_map": Run(tmp_path / "ran")}, tmp_path / "evil.pkl")
    message = refusal(tmp_path / "evil.pkl")
    assert "posix.system" in message and "could run code" in message
    assert not (tmp_path / "ran").exists()


def test_read_file_of_a_name_that_forges_the_message_cleans_it(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x04\x8c\x0cos\nerror: ok\x8c\x06system\x93.")
    assert "os?error" in refusal(tmp_path / "evil.pkl")


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@given(share=st.floats(0, 0.99))
def test_read_file_of_a_truncated_file_is_refused(tmp_path_factory, write, share):
    path = tmp_path_factory.mktemp("cut") / "file"
    write({"model_state": STATE}, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    message = refusal(path)  # where a name is cut off, it is one that is not admitted
    assert "is damaged or no torch file" in message or "could run code" in message


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@given(edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=4))
def test_read_file_of_a_damaged_file_gives_a_value_or_one_error(tmp_path_factory, write, edits):
    path = tmp_path_factory.mktemp("damaged") / "file"
    write({"model_state": STATE, "cfg": "A: 1", "epoch": 3}, path)
    content = bytearray(path.read_bytes())
    for share, byte in edits:
        content[int(share * len(content))] = byte
    path.write_bytes(content)
    try:
        read_file(path)
    except UserError as error:
        assert "\n" not in str(error)


def test_read_file_of_what_is_no_file_is_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "none")
    assert "Is a directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refusal(tmp_path / "pipe")


def rezipped(tmp_path, change, compression=zipfile.ZIP_STORED, count=1000):
    """A file by torch.save with some of its members changed."""
    torch.save({"model_state": {"a": torch.zeros(count)}}, tmp_path / "plain.pyth")
    with zipfile.ZipFile(tmp_path / "plain.pyth") as plain, zipfile.ZipFile(tmp_path / "changed.pyth", "w") as changed:
        for member in plain.infolist():
            content = change(member.filename.partition("/")[2], plain.read(member))
            if content is not None:
                changed.writestr(member.filename, content, compression)
    return tmp_path / "changed.pyth"


def test_read_file_of_a_compressed_zip_is_refused(tmp_path):
    path = rezipped(tmp_path, lambda name, content: content, zipfile.ZIP_DEFLATED, count=1_000_000)
    assert "a zip of 4" in refusal(path)


def test_read_file_of_a_zip_whose_members_overlap_is_refused(tmp_path):
    """Many entries of the directory at the end, all of the same bytes: a few megabytes that claim gigabytes."""
    content = bytearray()
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a/data.pkl", b"\0" * 100_000)
        content = file.getvalue()
    end = content.rindex(b"PK\x05\x06")
    directory = content.rindex(b"PK\x01\x02")
    entries = content[directory:end] * 1000
    tail = bytearray(content[end:])
    tail[8:20] = struct.pack("<HHII", 1000, 1000, len(entries), directory)
    (tmp_path / "overlap.pyth").write_bytes(content[:directory] + entries + tail)
    assert "a zip of 100000000 bytes" in refusal(tmp_path / "overlap.pyth")


@pytest.mark.parametrize(
    "change",
    [
        lambda name, content: content[:10] if name == "data/0" else content,
        lambda name, content: None if name == "data/0" else content,
        lambda name, content: content.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f") if name == "data.pkl" else content,
        lambda name, content: b"big" if name == "byteorder" else content,
        lambda name, content: None if name == "data.pkl" else content,
    ],
    ids=["short storage", "no storage", "other claim", "other byte order", "no program"],
)
def test_read_file_of_a_zip_that_is_not_whole_is_refused(tmp_path, change):
    assert "is damaged" in refusal(rezipped(tmp_path, change))


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    ("size", "stride"), [((10**12,), (0,)), ((2**39, 2**39), (0, 0)), ((3, 3), (1, 1)), ((0, 2**62), (1, 1))]
)
def test_read_file_of_a_tensor_larger_than_its_storage_is_refused(tmp_path, write, size, stride):
    write({"model_state": {"a": Rebuilt(torch.zeros(4).storage(), 0, size, stride)}}, tmp_path / "file")
    assert "is damaged" in refusal(tmp_path / "file")


def test_read_file_of_a_legacy_file_that_claims_more_than_it_holds_is_refused(tmp_path):
    WRITERS["legacy"]({"a": torch.zeros(1000)}, tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(content.replace(b"M\xe8\x03", b"\x8a\x05\x00\x00\x00\x00\x10", 1))
    assert "more than" in refusal(tmp_path / "file")


def test_read_file_without_enough_memory_is_refused(tmp_path, monkeypatch):
    (tmp_path / "large.pkl").write_bytes(pickle.dumps({}))

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(weight_file, "load", exhausted)
    assert "more than fits into memory" in refusal(tmp_path / "large.pkl")


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_read_file_of_lists_within_lists_is_refused(tmp_path, write):
    nested = []
    for _ in range(60):
        nested = [nested, nested]  # 2**60 leaves
    write({"model_state": STATE, "cfg": nested}, tmp_path / "laughs.pkl")
    assert "grow without bound" in refusal(tmp_path / "laughs.pkl")
