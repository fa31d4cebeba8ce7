"""The pages of docs/ build into a site, their commands are understood, and what they quote is in the code."""

import ast
import re

import pytest

import ava_eval.cli
import avsf_det.cli
from avsf_det.config import describe_keys, load_cfg
from avsf_det.errors import UserError
from tests.pages import PAGES, ROOT, commands

OTHERS = (".", "source", "export", "pip", "git", "make")  # of the reader's own machine; make's are in test_readme.py
CASES = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for words in commands(page)
    if words[0] not in OTHERS
]
MESSAGES = [
    pytest.param(message, id=message)
    for message in re.findall(r"^\| `(.+?)`", (ROOT / "docs" / "errors.md").read_text("utf-8"), flags=re.MULTILINE)
]


def parsed(parser, words, capsys):
    try:
        return parser.parse_args(words)
    except SystemExit as end:
        assert not end.code, capsys.readouterr().err
        return None


@pytest.mark.parametrize("words", CASES)
def test_every_command_is_understood(words, capsys):
    if words[0] == "torchrun":
        assert words[words.index("-m") + 1] == "avsf_det"
        words = ["avsf-det", *words[words.index("-m") + 2 :]]
    if words[0] == "ava-eval":
        parsed(ava_eval.cli._parser(), words[1:], capsys)
        return
    assert words[0] == "avsf-det", f"{words[0]}: tell tests/test_docs.py how to try it"
    options = parsed(avsf_det.cli._parser(), words[1:], capsys)
    pairs = getattr(options, "overrides", [])
    if options and pairs and not options.run.__name__.startswith("detector"):  # Detectron2 has keys of its own
        pairs = [word for word in pairs if word != "..."]
        pairs = pairs[len(pairs) % 2 :]  # `data check` may begin with the dataset's folder
        load_cfg(getattr(options, "config", None), pairs)


def test_a_recipe_or_key_that_is_not_there_would_be_noticed(capsys):
    with pytest.raises(AssertionError, match="unrecognized"):
        test_every_command_is_understood(["avsf-det", "detect", "a.mp4", "--weights", "w", "--no-such"], capsys)
    with pytest.raises(UserError, match=r"did you mean SOLVER\.BASE_LR"):
        test_every_command_is_understood(["avsf-det", "train", "SOLVER.BASE_LT", "1"], capsys)


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
