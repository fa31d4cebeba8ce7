import json
import os
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.commands.detect import OUTPUTS
from avsf_det.engine.results import SUFFIXES, json_line, relative_url, write_lines
from avsf_det.errors import UserError
from avsf_det.structures import Persons


def test_a_keyframe_is_a_line_with_persons_and_scores_by_name():
    persons = Persons([[0.1, 0.2, 0.3, 1 / 3]], [0.9], [4], [[0.25, 1 / 3]])
    assert json.loads(json_line("a\nb", 1.5, persons, ["stand", 'say "hé"'])) == {
        "video": "a\nb",
        "time": 1.5,
        "persons": [
            {
                "id": 4,
                "box": [0.1, 0.2, 0.3, 0.333333],
                "score": 0.9,
                "scores": {"stand": 0.25, 'say "hé"': 0.333333},
            }
        ],
    }
    assert json.loads(json_line("v", 0.0, Persons.none(), ["stand"]))["persons"] == []
    assert "\n" not in json_line("a\nb", 1.5, persons, ["stand", "clap"])


@given(st.binary(min_size=1, max_size=20).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b"..")))
def test_any_file_name_becomes_a_relative_url(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    url = relative_url(folder / "in" / os.fsdecode(name), folder / "out")
    assert unquote_to_bytes(url) == b"../in/" + name
    assert not set(url.removeprefix("../in/")) & set(":?#/\"'<>&\\ ")


def test_lines_are_written_whole_or_not_at_all(tmp_path):
    def broken():
        yield "one"
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        write_lines(tmp_path / "film.jsonl", broken())
    assert list(tmp_path.iterdir()) == []
    write_lines(tmp_path / "film.jsonl", ["one", "two"])
    assert (tmp_path / "film.jsonl").read_text() == "one\ntwo\n"


def test_the_command_knows_all_outputs():
    assert tuple(SUFFIXES) == OUTPUTS


def test_write_lines_file_name_that_is_not_utf_8_is_escaped(tmp_path):
    write_lines(tmp_path / "film.html", ["<h1>film\udcff 跑</h1>"])
    assert (tmp_path / "film.html").read_text("utf-8") == "<h1>film\\udcff 跑</h1>\n"
