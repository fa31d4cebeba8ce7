"""The pages build into a site, and what they link to, name and quote is there; test_commands.py runs their commands."""

import ast
import json
import re
import shlex

import pytest

import ava_eval.cli
import avsf_det.cli
from avsf_det.config import describe_keys, load_cfg
from avsf_det.data.annotations import AvaFolder
from avsf_det.data.ava_csv import read_timestamps
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.video_table import COLUMNS, recorded_frame_rates
from avsf_det.engine.results import json_line
from avsf_det.structures import Persons
from tests.pages import PAGES, ROOT, blocks

MESSAGES = [
    pytest.param(message, id=message)
    for message in re.findall(r"^\| `(.+?)`", (ROOT / "docs" / "errors.md").read_text("utf-8"), flags=re.MULTILINE)
]


KEYS = frozenset(re.findall(r"^([A-Z_.0-9]+) = ", describe_keys(), flags=re.MULTILINE))
NAMED = sorted(
    {
        name
        for page in PAGES
        for name in re.findall(r"`((?:avsf-det|ava-eval|make|python) [^`]+)`", page.read_text(encoding="utf-8"))
        if "COMMAND" not in name
    }
)


@pytest.mark.parametrize("name", NAMED)
def test_a_command_named_in_the_text_is_there_with_its_options(name, capsys):
    program, *words = name.split()
    if program == "make":
        assert re.search(f"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        return
    if program == "python":
        file = f"{words[1].replace('.', '/')}.py" if words[0] == "-m" else words[0]
        text = (ROOT / file).read_text(encoding="utf-8")
        assert all(f'"{word}"' in text for word in words if word.startswith("--"))
        return
    parser = avsf_det.cli._parser() if program == "avsf-det" else ava_eval.cli._parser()
    options = [word for word in words if word.startswith("-")]
    words = words[: words.index(options[0])] if options else words
    with pytest.raises(SystemExit) as end:
        parser.parse_args([*words, "--help"])
    told = capsys.readouterr()
    assert end.value.code == 0, told.err
    assert set(options) <= set(re.findall(r"(?<!\S)--?\w[\w-]*", told.out.replace(",", " ")))


def test_every_key_named_in_the_text_is_one():
    """But for keys of Detectron2, on the page of the person detector, and those said to be of PySlowFast."""
    known = KEYS | {"DATA.REVERSE_INPUT_CHANNEL", "AVA.BGR", "TRAIN.CHECKPOINT_EPOCH_RESET"}
    groups = "|".join({key.partition(".")[0] for key in known})
    named = re.compile(rf"\b(?:{groups})\.[A-Z][A-Z0-9_]*[A-Z0-9]\b(?![_*\\])")
    for page in PAGES:
        if page.name != "detector.md":
            unknown = set(named.findall(page.read_text(encoding="utf-8"))) - known
            assert not unknown, f"{page.name} names {unknown}"


def test_the_code_that_the_page_of_the_model_names_is_there():
    files = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "model.md").read_text(encoding="utf-8"))
    folders = [ROOT, ROOT / "avsf_det", ROOT / "avsf_det" / "models"]
    assert files and not [file for file in files if not any((folder / file).is_file() for folder in folders)]


PAIRS = sorted(
    {
        code
        for page in PAGES
        for code in re.findall(r"`([A-Z_]+\.[A-Z_0-9]+ [^`…]+)`", page.read_text(encoding="utf-8"))
        if code.split()[0] in KEYS
    }
)


@pytest.mark.parametrize("pairs", PAIRS)
def test_key_value_pairs_work_as_they_are_typed(pairs):
    words = shlex.split(pairs)
    load_cfg(None, words)
    assert set(words[::2]) <= KEYS


def test_blocks_of_commands_are_marked_as_bash():
    """Those are the ones that tests/test_commands.py runs."""
    command = re.compile(r"(\$ )?(avsf-det|ava-eval|torchrun|make|python) ")
    for page in PAGES:
        assert not any(map(command.match, blocks(page, "")))
        assert not any(blocks(page, language) for language in ("sh", "shell", "console"))


def test_the_line_of_json_is_what_detect_writes():
    (text,) = blocks(ROOT / "docs" / "detect.md", "json")
    shown = json.loads(text)
    (person,) = shown["persons"]
    persons = Persons([person["box"]], [person["score"]], [person["id"]], [list(person["scores"].values())])
    assert json_line(shown["video"], shown["time"], persons, list(person["scores"])) == text.strip()


def test_the_example_on_the_page_of_export_is_the_file_beside_it():
    (shown,) = blocks(ROOT / "docs" / "export.md", "py")
    assert shown == (ROOT / "docs" / "onnx_example.py").read_text(encoding="utf-8")


def test_the_format_is_what_is_read(tmp_path, caplog):
    """The files that the page shows, as a dataset."""
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`([\w/]+\.\w+)`[^`]+```\n(.+?)^```", page, flags=re.MULTILINE | re.DOTALL))
    assert len(shown) == 5
    for name in [*shown, "videos/holiday 1.mp4", "videos/kitchen, late.mkv"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown.get(name, ""))
    cfg = load_cfg(None, ["DATA.ROOT", str(tmp_path)])
    dataset = AvaFolder.from_config(cfg)
    assert dataset.label_map.names == ("sit", "talk")
    first, late = dataset.keyframes("train")
    assert (first.video_id, first.time, first.persons.actions.tolist()) == ("holiday 1", 1, [[1, 1]])
    assert (late.video_id, late.time, late.persons.ids.tolist()) == ("kitchen, late", 2.5, [-1])
    ((video, time),) = read_timestamps(dataset.exclusion_path("train"))
    assert (video, time) == ("holiday 1", 3)
    (clip,) = ClipFolder(tmp_path, "imported").clips("train")
    assert (clip.start, clip.end) == (0, 4.5)
    assert tuple(shown["videos.csv"].splitlines()[0].split(",")) == COLUMNS
    assert recorded_frame_rates(tmp_path / "videos.csv") == {} and not caplog.messages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Files beside the page, and headings on it or on other pages."""
    for target in re.findall(r"\]\(([^)\s]+)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        other = page.parent / name if name else page
        assert other.exists(), f"{page.name} links to {target}, which is not there"
        if heading:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in headings}
            assert heading in slugs, f"{page.name} links to {target}, and {other.name} has no such heading"


def test_the_site_builds_without_a_warning_and_needs_no_network(tmp_path):
    pytest.importorskip("mkdocs")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path)))  # a warning is an error: strict
    pages = {page.stem for page in PAGES[1:]}
    assert pages <= {page.stem for page in tmp_path.glob("*.html")}
    for page in pages:
        text = (tmp_path / f"{page}.html").read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|img)[^>]*src=\"(?:https?:)?//|<link[^>]*href=\"(?:https?:)?//", text)


def test_every_page_is_in_the_navigation():
    listed = re.findall(r": (\w+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in PAGES[1:])


def test_the_page_of_keys_is_up_to_date():
    from config_page import page

    written = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert written == page(describe_keys()), "run `python tools/config_page.py`"


@pytest.fixture(scope="module")
def texts():
    """Every text of the code but its docstrings, with … for what is filled in."""
    found = []
    for package in ("avsf_det", "detectors", "ava_eval"):
        for path in (ROOT / package).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            for node in (node for node in nodes if id(node) not in docstrings):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                words = [getattr(part, "value", None) if isinstance(part, ast.Constant) else "…" for part in parts]
                if any(isinstance(word, str) and word != "…" for word in words):
                    found.append("".join(map(str, words)))
    return found


def said(message, texts):
    pattern = ".*".join(re.escape(part) for part in message.strip("… ").split("…"))
    return any(re.search(pattern, text, flags=re.DOTALL) for text in texts)


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_one_that_the_code_has(message, texts):
    assert said(message, texts), f"docs/errors.md quotes {message!r}"


def test_a_message_that_the_code_has_not_would_be_noticed(texts):
    assert len(MESSAGES) > 30 and not said("… no usable row; hoped for …", texts)
