import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.importers.class_lists import read_class_list
from avsf_det.errors import UserError
from tests.data.importers.files import document


def read(text, name="labels.txt"):
    return read_class_list(document(text.encode(), name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "sit\ntalk, loudly\n"),
        ("class_names.txt", "1 sit\n2 talk, loudly\n"),
        ("actions.csv", 'id,name\n1,sit\n2,"talk, loudly"\n'),
        ("label_map.json", '["sit", "talk, loudly"]'),
        ("classes.json", '{"sit": 1, "talk, loudly": 2}'),
        ("categories.json", '{"categories": [{"id": 1, "name": "sit"}, {"id": 2, "name": "talk, loudly"}]}'),
        ("any.pbtxt", 'item { name: "sit" id: 1 }\nitem { name: "talk, loudly" id: 2 }\n'),
    ],
)
def test_a_list_is_known_however_it_is_written(name, text):
    own = read(text, name).settled({"1", "2"})
    assert dict(zip(own.label_map.ids, own.label_map.names)) == {1: "sit", 2: "talk, loudly"}
    assert own.name_of("2") == "talk, loudly" and own.name_of("sit") == "sit"


@pytest.mark.parametrize("text", ["sit\ntalk\n", "0 sit\n1 talk\n"])
def test_numbers_from_nought_become_ids_from_one(text):
    own = read(text).settled({"0", "1"})
    assert (own.label_map.ids, own.shift) == ((1, 2), 1)
    assert (own.name_of("0"), own.name_of("1.0")) == ("sit", "talk")


def test_a_file_has_to_say_that_it_lists_classes_unless_somebody_does():
    assert read("sit\ntalk\n", "notes.txt") is None
    assert read_class_list(document(b"sit\n", "notes.txt"), is_named=True).label_map.names == ("sit",)


@given(st.text(max_size=80), st.sampled_from(["labels.txt", "labels.csv", "labels.json", "labels.pbtxt"]))
def test_any_text_is_a_list_or_none_or_one_clear_error(text, name):
    try:
        read(text, name)
    except UserError as error:
        assert str(error).startswith(name)
