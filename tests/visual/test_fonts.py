import logging
import shutil

import pytest
from PIL import Image

from avsf_det.visual import fonts
from avsf_det.visual.fonts import Face, base_face, find_face, load, system_faces
from avsf_det.visual.layout import runs
from avsf_det.visual.text import shorten, text_picture, text_width

INK = (255, 255, 255)


def forget():
    """Drop what is cached of the fonts of this machine."""
    for cached in (find_face, runs, system_faces, load, text_width, shorten, text_picture):
        cached.cache_clear()
    fonts._reported.clear()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder with fonts on a machine without fontconfig."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(fonts, "font_folders", lambda: [tmp_path / "absent", tmp_path])
    forget()
    yield tmp_path
    forget()


def test_missing_characters_are_drawn_as_code_points_and_reported_once(folder, caplog):
    with caplog.at_level(logging.WARNING):
        assert [run.text for run in runs("跑步 run")] == ["[8DD1 6B65] run"]
        assert text_picture("步", 14, INK).any()
    assert [record.getMessage().count("fonts-noto-cjk") for record in caplog.records] == [1]
    assert "U+8DD1 U+6B65" in caplog.text


def test_each_missing_script_is_reported_with_its_package(folder, caplog):
    with caplog.at_level(logging.WARNING):
        text_picture("दौड़ 한 ทำ", 14, INK)
    told = [record.getMessage() for record in caplog.records]
    assert [next(s for s in ("DEVANAGARI", "HANGUL", "THAI") if s in line) for line in told] == [
        "DEVANAGARI",
        "HANGUL",
        "THAI",
    ]
    assert ["noto-cjk" in line for line in told] == [False, True, False]


def test_installed_font_is_used_for_what_the_base_font_lacks(folder, monkeypatch, caplog):
    # The font under test has Latin letters; the base font is made to lack all but ASCII.
    shutil.copy(base_face().path, folder / "Some.ttf")
    monkeypatch.setattr(fonts, "_base_face", lambda: Face("/absent/Base.ttf", charset="20-7e"))
    assert find_face("é").path == str(folder / "Some.ttf")


def test_damaged_font_file_is_passed_over(folder, caplog):
    (folder / "Broken.ttf").write_bytes(b"\0\1\0\0 no font")
    (folder / "Other.otf").write_bytes(b"")
    assert find_face("中") is None


def test_fontconfig_charset_is_read():
    face = Face("x.ttf", charset="20-7e a0 4e00-9fff")
    assert face.has("a~\u00a0中") and not face.has("\u007f") and not face.has("á")


def test_plain_sans_serif_fonts_come_first(folder):
    names = ("NotoSerifX-Regular", "NotoSansX-Bold", "NotoSansX-Regular", "Zed")
    for name in names:
        (folder / f"{name}.ttf").touch()
    ordered = [face.path.rsplit("/", 1)[1] for face in system_faces()]
    assert ordered[0] == "NotoSansX-Regular.ttf" and set(ordered) == {f"{name}.ttf" for name in names}


def test_arabic_without_shaping_reads_from_right_to_left_and_is_reported(folder, monkeypatch, caplog):
    monkeypatch.setattr("avsf_det.visual.layout.has_shaping", lambda: False)
    monkeypatch.setattr(fonts, "has_shaping", lambda: False)
    with caplog.at_level(logging.WARNING):
        assert [run.text for run in runs("ab يرك")] == ["ab ", "كري"]
        assert Image.fromarray(text_picture("ab يرك", 14, INK)).getbbox()
    assert "libfribidi0" in caplog.text
