import zipfile

import pytest

from avsf_det.data.importers import documents as module
from avsf_det.data.importers.documents import documents_in
from avsf_det.errors import UserError
from tests.data.importers.files import document


def test_files_folders_and_zips(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "picture.jpg").write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>")
        archive.writestr("images/frame_000000.PNG", "x")
        archive.writestr("__MACOSX/annotations.xml", "x")
    assert [file.path for file in documents_in(tmp_path / "a.csv")] == ["a.csv"]
    names = [file.name for file in documents_in(tmp_path)]
    assert names == [str(tmp_path / "a.csv"), f"{tmp_path / 'task.zip'}:annotations.xml"]
    with pytest.raises(UserError, match="no such file or folder"):
        list(documents_in(tmp_path / "b.csv"))


def test_documents_in_broken_and_empty_zips_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("a.csv", "x")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:40])
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    for name, reason in (("cut", "not a complete zip file"), ("empty", "the zip file is empty")):
        with pytest.raises(UserError, match=reason):
            list(documents_in(tmp_path / f"{name}.zip"))


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", b" " * (1 << 21))
    with pytest.raises(UserError, match="larger than 1 MiB"):
        list(documents_in(tmp_path / "bomb.zip"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\ufeffé".encode(), "é"),
        ("é".encode("utf-16"), "é"),
        (b"caf\xe9", "café"),
    ],
)
def test_text_of_any_encoding(content, text):
    assert document(content).text == text


def test_xml_and_json_with_marks_and_blanks_before_them():
    assert document(b"\xef\xbb\xbf\r\n<?xml version='1.0'?><a/>", "x.xml").xml.tag == "a"
    assert document("<?xml version='1.0' encoding='utf-16'?><a b='é'/>".encode("utf-16"), "x.xml").xml.get("b") == "é"
    assert document(b"\xef\xbb\xbf[1]", "x.json").json == [1]
    assert document("a,b", "x.csv").json is None and document("a,b", "x.csv").xml is None


@pytest.mark.parametrize(("text", "name"), [("{", "x.json"), ("<a>", "x.xml"), ("[" * 100_000, "x.json")])
def test_what_is_broken_is_named(text, name):
    file = document(text, name)
    with pytest.raises(UserError, match=rf"{name}: not (JSON|XML) .*export it again"):
        file.json if name.endswith("json") else file.xml


def test_entities_are_refused():
    bomb = '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>'
    with pytest.raises(UserError, match="entities"):
        document(bomb, "x.xml").xml  # noqa: B018


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("entity", ['"cc"', 'SYSTEM "file:///etc/hostname"'])
def test_xml_with_entities_in_any_encoding_is_refused(encoding, entity):
    declared = "utf-16" if encoding.startswith("utf-16") else encoding.removesuffix("-sig")
    bomb = f'<?xml version="1.0" encoding="{declared}"?><!DOCTYPE a [<!ENTITY b {entity}>]><a>&b;</a>'
    with pytest.raises(UserError, match="defines entities"):
        _ = document(bomb.encode(encoding), "a.xml").xml


def test_xml_of_another_encoding_than_declared_is_read():
    content = '<?xml version="1.0" encoding="utf-8"?><a name="é"/>'.encode("latin-1")
    assert document(content, "a.xml").xml.get("name") == "é"


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", "[" * 10**5), ("a.xml", "<a>" * 10**5), ("a.json", "9" * 5000)]
)
def test_nesting_and_digits_without_end_are_one_error(name, content):
    with pytest.raises(UserError, match="export it again"):
        file = document(content, name)
        _ = file.json if name.endswith("json") else file.xml
