import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_eval.errors import InputError
from ava_eval.label_map import MAX_ID, SHIPPED, LabelMap, load_label_map, parse_label_map, read_label_map


def test_reads_the_item_style():
    labels = parse_label_map(
        'item {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\nitem {\n  name: "sit"\n  id: 11\n}\n'
    )
    assert labels == LabelMap((1, 11), ("bend/bow (at the waist)", "sit"))
    assert labels.groups == ("", "")
    assert len(labels) == 2


def test_reads_the_label_style_with_its_groups():
    labels = parse_label_map(
        'label {\n  name: "stand"\n  label_id: 12\n  label_type: PERSON_MOVEMENT\n}\n'
        'label {\n  name: "eat"\n  label_id: 29\n  label_type: OBJECT_MANIPULATION\n}\n'
        'label {\n  name: "hug"\n  label_id: 70\n  label_type: PERSON_INTERACTION\n}\n'
        'label {\n  name: "purr"\n  label_id: 90\n  label_type: CAT\n}\n'
    )
    assert labels.ids == (12, 29, 70, 90)
    assert labels.groups == ("pose", "object", "person", "CAT")


@pytest.mark.parametrize(
    "text",
    [
        '    item {\n      name: "a"\n      id: 4\n    }',
        "item{name:'a' id:4}",
        'item {\n\tid: 4  # the id first\n\tname: "a"\n\tdisplay_name: "A"\n}',
        'item { name: "a", id: 4; }',
    ],
)
def test_reads_every_indentation_and_order_that_the_format_allows(text):
    assert parse_label_map(text) == LabelMap((4,), ("a",))


names = st.text(min_size=1).filter(str.isprintable)
maps = st.dictionaries(st.integers(1, MAX_ID), st.tuples(names, st.sampled_from(["", "pose", "object", "CAT"])))
maps = maps.filter(lambda classes: classes and len({name for name, _ in classes.values()}) == len(classes))


@given(maps)
def test_what_is_written_is_read_back(classes):
    labels = LabelMap(tuple(classes), *zip(*classes.values()))
    assert parse_label_map(labels.to_pbtxt()) == labels


def test_is_written_as_the_official_reader_expects_it():
    assert LabelMap((12,), ("stand",)).to_pbtxt() == 'item {\n  name: "stand"\n  id: 12\n}\n'
    assert (
        LabelMap((12,), ("stand",), ("pose",)).to_pbtxt()
        == 'label {\n  name: "stand"\n  label_id: 12\n  label_type: PERSON_MOVEMENT\n}\n'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "map: no class found"),
        ("name: 3", "map:1: expected item { or label {, got 'name'"),
        ('item {\n name: "a"\n}', "map:1: this item has no id"),
        ("item {\n id: 3\n}", "map:1: this item has no name"),
        ('item {\n  name: "a"\n  id: one\n}', "map:1: the id is 'one', expected a whole number"),
        ('item {\n  name: "a"\n  id: 3', "map:1: expected key: value or }, got 'the end of the file'"),
        ('item {\n  name "a"\n  id: 3\n}', "map:2: expected key: value or }, got 'a'"),
        ('item {\n  name: "a', "map:2: not a label map: cannot read"),
        ('item { name: "a" id: 0 }', "class 'a' has id 0, expected 1..32767"),
        ('item { name: "a" id: 99999 }', "class 'a' has id 99999, expected 1..32767"),
        ('item { name: "a" id: 1 } item { name: "b" id: 1 }', "the id 1 comes twice"),
        ('item { name: "a" id: 1 } item { name: "a" id: 2 }', "the name 'a' comes twice"),
        ('item { name: "" id: 1 }', "the class with id 1 is named ''"),
    ],
)
def test_says_what_is_wrong_with_a_label_map(text, message):
    with pytest.raises(InputError) as error:
        parse_label_map(text, source="map")
    assert message in str(error.value)
    assert str(error.value).startswith("map:")
    assert "\n" not in str(error.value)


@given(st.text(st.sampled_from("item{}label: \"\n1#\\'x"), max_size=60))
def test_no_text_makes_it_fail_otherwise(text):
    try:
        parse_label_map(text)
    except InputError as error:
        assert "\n" not in str(error)


def test_reads_a_file_with_a_byte_order_mark_and_says_which_file_it_cannot_read(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_bytes(b'\xef\xbb\xbfitem { name: "caf\xc3\xa9" id: 1 }')
    assert read_label_map(path).names == ("café",)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"map.pbtxt: the label map is not text in UTF-8"):
        read_label_map(path)
    with pytest.raises(InputError, match="cannot read the label map"):
        read_label_map(tmp_path)


def test_a_dict_becomes_a_label_map():
    assert LabelMap.from_dict({3: "sit"}) == LabelMap((3,), ("sit",))
    with pytest.raises(InputError, match="dict of"):
        LabelMap.from_dict({"sit": 3})


def test_the_maps_of_ava_come_with_the_package(tmp_path, monkeypatch):
    assert {name: len(read_label_map(name)) for name in SHIPPED} == {
        "ava_v2.1": 60,
        "ava_v2.2": 60,
        "ava_v2.1_80": 80,
        "ava_v2.2_80": 80,
    }
    scored, known = read_label_map("ava_v2.2"), read_label_map("ava_v2.2_80")
    assert [scored.groups.count(group) for group in ("pose", "object", "person")] == [13, 32, 15]
    assert set(zip(scored.ids, scored.names, scored.groups)) < set(zip(known.ids, known.names, known.groups))
    assert known.names[known.ids.index(12)] == "stand"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ava_v2.2").write_text('item { name: "a" id: 4 }')  # a file of that name comes first
    assert read_label_map("ava_v2.2").names == ("a",)


def test_classes_of_ava_have_its_groups_although_the_map_states_none():
    assert load_label_map({12: "stand", 17: "carry/hold (an object)"})[0].groups == ("pose", "object")
    assert load_label_map({12: "stand", 17: "juggle"})[0].groups == ("", "")


def test_names_the_classes_that_the_official_reader_would_not_see(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text('item {\n  name: "a"\n  id: 1\n}\nitem {\n    name: "b"\n    id: 2\n}\n')
    labels, unseen = load_label_map(path)
    assert (labels.names, unseen) == (("a", "b"), ["b"])
