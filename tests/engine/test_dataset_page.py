import base64
import io
import re
import shutil
from html.parser import HTMLParser

import pytest
from PIL import Image

from avsf_det.cli import main

HOSTILE = "<script>alert(1)</script>&"


class Elements(HTMLParser):
    """The tags of a page and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(scenes, tmp_path_factory):
    """The page of the scenes with a class of a hostile name, a box in pixels and a broken video."""
    root = shutil.copytree(scenes, tmp_path_factory.mktemp("page") / "<b>mine")
    label_map = root / "annotations" / "label_map.pbtxt"
    label_map.write_text(label_map.read_text().replace('"stand"', f'"{HOSTILE}"'))
    with open(root / "annotations" / "train.csv", "a") as file:
        file.write("train_0000,2,10,10,50,90,1,0\n")
    (root / "videos" / "train_0001.mp4").write_bytes(b"no video")
    report = root / "report.html"
    assert main(["data", "check", str(root), "--html", str(report)]) == 1
    return report.read_text(encoding="utf-8")


def test_the_page_says_what_the_terminal_says(page):
    text = Elements(page).text
    assert "1 bad rows: boxes are in pixels" in text and "box 10,10,50,90 looks like pixels" in text
    assert "divide x by the width" in text and "1 of 4 cannot be read" in text and "cannot be read" in text
    assert HOSTILE in text and "Dataset <b>mine" in text


def test_the_page_needs_nothing_else_and_runs_nothing(page):
    tags = Elements(page).tags
    assert not {"script", "link", "iframe", "b>mine"} & {tag for tag, _ in tags}
    assert all(v.startswith("data:") for _, attributes in tags for k, v in attributes.items() if k in ("src", "href"))
    assert "default-src 'none'" in page


def test_keyframes_of_both_splits_are_drawn(page):
    pictures = [base64.b64decode(data) for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)]
    assert len(pictures) > 4
    assert {Image.open(io.BytesIO(picture)).size for picture in pictures} == {(320, 240)}
    titles = [attributes["alt"] for tag, attributes in Elements(page).tags if tag == "img"]
    assert any(t.startswith("train_0000 at ") for t in titles) and any(t.startswith("val_0000 at ") for t in titles)
    assert not any(title.startswith("train_0001") for title in titles)
