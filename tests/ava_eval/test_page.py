import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from ava_eval import LabelMap, evaluate, markup
from ava_eval.bootstrap import compare
from ava_eval.page import comparison_page, report_page
from ava_eval.report import analyse

HOSTILE = '<script>alert(1)</script>"&$x_1$'


class Elements(HTMLParser):
    """The tags of a page, their attributes, and what is open at its end."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.open = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in ("meta", "img", "br", "path", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def pages(scene):
    return report_page(analyse(scene, draws=20)), comparison_page(compare(scene, scene, draws=20))


def test_a_page_needs_nothing_but_itself(pages):
    for page in pages:
        elements = Elements(page)
        assert not elements.open or set(elements.open) <= {"p"}
        assert not elements.tags & {"link", "iframe", "object"}
        sources = [value for _, name, value in elements.attributes if name in ("src", "href")]
        assert sources and all(value.startswith("data:image/svg+xml;base64,") for value in sources)
        assert any("default-src 'none'" in str(value) for _, _, value in elements.attributes)


def test_the_pictures_are_svg_that_hold_the_names_of_the_classes(pages, scene):
    pictures = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", pages[0])]
    assert len(pictures) == 7
    for picture in pictures:
        assert ElementTree.fromstring(picture).tag.endswith("svg")
    named = [name for name, ap in scene.ap.items() if ap == ap and len(name) < 34]
    assert all(any(name.encode() in picture for picture in pictures) for name in named)


def test_the_page_tells_the_numbers_and_is_the_same_again(pages, scene):
    assert f"<b>{scene.mAP:.4f}</b>" in pages[0]
    assert all(f"<td>{name}</td>" in pages[0] for name in ("stand", "sit"))
    assert report_page(analyse(scene, draws=20)) == pages[0]


def test_names_are_text_whatever_they_hold():
    labels = LabelMap((1, 2), (HOSTILE, "日本語 ☃"), (HOSTILE, "b"))
    truth = [[HOSTILE, 1, 0, 0, 1, 1, 1], ["w", 1, 0, 0, 1, 1, 2]]
    found = [[HOSTILE, 1, 0, 0, 1, 1, 1, 0.5], ["w", 1, 0, 0, 1, 1, 2, 0.5]]
    result = evaluate(truth, found, labels)
    result.warnings.append(HOSTILE)
    for page in (report_page(analyse(result, draws=5)), comparison_page(compare(result, result, draws=5))):
        assert page.replace(f"<script>{markup.SCRIPT}</script>", "").count("<script") == 0
        pictures = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", page)]
        assert all(b"<script" not in picture for picture in pictures)
        assert any("日本語 ☃".encode() in picture for picture in pictures)


@pytest.mark.parametrize("found", [[], [["v", 1, 0, 0, 1, 1, 1, 0.5]]])
@pytest.mark.parametrize("truth", [[], [["v", 1, 0, 0, 1, 1, 1]]])
def test_there_is_a_page_however_little_there_is(truth, found):
    assert "</html>" in report_page(analyse(evaluate(truth, found, {1: "stand"})))
