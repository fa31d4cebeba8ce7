import fsspec
import pytest

from avsf_det.engine.many.storage import Attempts, Storage, fetch, identity, is_url, listed
from avsf_det.errors import UserError


@pytest.fixture
def elsewhere(tmp_path):
    """The address of a folder that is only reached by fsspec."""
    return f"local://{tmp_path}/elsewhere"


@pytest.mark.parametrize("address", ["s3://bucket/film.mp4", "gs://bucket/films/", "memory://film.mp4"])
def test_what_fsspec_opens_is_an_address(address):
    assert is_url(address)


@pytest.mark.parametrize("path", ["film.mp4", "/films", "file:///film.mp4", "rtsp://camera/1", "https://host/live"])
def test_paths_and_streams_are_none(path):
    assert not is_url(path)


def test_a_list_stands_for_what_it_names(tmp_path):
    (tmp_path / "videos.txt").write_text("# films\n a b, c.mp4 \n\ns3://bucket/d.mp4\n/films\n")
    (tmp_path / "more.CSV").write_text('\ufeff"e, f.mp4",train\ng.mp4\n')
    inputs = ["x.mp4", str(tmp_path / "videos.txt"), str(tmp_path / "more.CSV"), "file:///y.mp4"]
    assert listed(inputs) == ["x.mp4", "a b, c.mp4", "s3://bucket/d.mp4", "/films", "e, f.mp4", "g.mp4", "/y.mp4"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"# none\n", "a list without a video"),
        (b"\xff\xfe", "cannot be read"),
        (b"b.txt\n", "a list itself"),
    ],
)
def test_a_list_that_is_none_is_named(tmp_path, content, said):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=f"a.txt: .*{said}"):
        listed([str(tmp_path / "a.txt")])


def test_an_address_that_ends_in_a_slash_stands_for_its_videos(tmp_path, elsewhere):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UserError, match="no video in this folder"):
        listed([f"{elsewhere}/"])
    for name in ("b.MP4", "a.mkv", "notes.txt"):
        (tmp_path / "elsewhere" / name).touch()
    assert listed([f"{elsewhere}/"]) == [f"{elsewhere}/a.mkv", f"{elsewhere}/b.MP4"]
    with pytest.raises(UserError, match="nothing is there"):
        listed([f"{elsewhere}/none/"])


def test_what_is_fetched_is_what_is_there_and_the_same_video_each_time(tmp_path, elsewhere):
    source = tmp_path / "elsewhere" / "film.mp4"
    source.parent.mkdir()
    source.write_bytes(b"one")
    before = identity(f"{elsewhere}/film.mp4")
    one, other = (fetch(f"{elsewhere}/film.mp4", tmp_path / name) for name in ("one", "other"))
    assert one.name == "film.mp4" and one.read_bytes() == b"one" and one.stat().st_mtime == other.stat().st_mtime
    assert identity(f"{elsewhere}/film.mp4") == before
    source.write_bytes(b"two and more")
    assert identity(f"{elsewhere}/film.mp4") != before
    with pytest.raises(UserError, match=r"none.mp4: cannot be reached \(nothing is there\)"):
        identity(f"{elsewhere}/none.mp4")
    with pytest.raises(UserError, match="nothing is there"):
        fetch(f"{elsewhere}/none.mp4", tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["film.mp4"]


def test_storage_that_is_unknown_or_not_installed_is_one_line(monkeypatch):
    with pytest.raises(UserError, match="expected a path, or an address"):
        identity("nowhere://film.mp4")
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(UserError, match=r"pip install 'avsf-det\[cloud\]'"):
        Storage("s3://bucket/results")


@pytest.mark.parametrize(
    "address",
    [
        "dir:///tmp",
        "ftp://127.0.0.1:1/x.mp4",
        "filecache::file:///etc/passwd",
        "simplecache::s3://bucket/film.mp4",
        "zip://a.mp4::local:///tmp/a.zip",
        "local://a.mp4::/etc/passwd",
        "github://owner:name@main/film.mp4",
        "reference://film.mp4",
        "S3::FILE:///etc/passwd",
    ],
)
def test_address_of_a_kind_not_supported_is_refused_before_it_is_opened(tmp_path, monkeypatch, address):
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda *address: pytest.fail("opened"))
    said = "addresses of this kind are not supported; expected a path, or an address such as s3://bucket/film.mp4"
    for use in (identity, Storage, lambda one: fetch(one, tmp_path), lambda one: listed([f"{one}/"])):
        with pytest.raises(UserError, match=said):
            use(address)


@pytest.mark.parametrize("error", [ConnectionRefusedError(111, "Connection refused"), AttributeError("startswith")])
def test_storage_that_fails_as_it_is_opened_is_one_line(tmp_path, monkeypatch, error):
    def fail(address):
        raise error

    monkeypatch.setattr("fsspec.core.url_to_fs", fail)
    for use in (identity, Storage, lambda one: fetch(one, tmp_path), lambda one: listed([f"{one}/"])):
        with pytest.raises(UserError, match=f"cannot be reached .{type(error).__name__}: .*; check the address"):
            use("sftp://127.0.0.1:1/film.mp4")


def test_storage_folder_with_colons_in_its_name_is_a_plain_folder(tmp_path):
    Storage(tmp_path / "zip::a").write("b.txt", b"one")
    assert (tmp_path / "zip::a" / "b.txt").read_bytes() == b"one"
    assert Storage(tmp_path / "zip::a").read("b.txt") == b"one"


@pytest.fixture(params=["path", "file", "address"])
def storage(request, tmp_path, elsewhere):
    path = tmp_path / "elsewhere"
    return Storage({"path": path, "file": f"file://{path}", "address": f"{elsewhere}/"}[request.param])


def test_files_are_written_whole_wherever_they_go(storage, tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    assert storage.read("a/b.txt") is None and not storage.holds({"a/b.txt": 3})
    storage.write("a/b.txt", b"one")
    assert storage.read("a/b.txt") == b"one" and storage.holds({"a/b.txt": 3}) and not storage.holds({"a/b.txt": 4})
    (tmp_path / "film.mp4").write_bytes(b"film")
    storage.put(tmp_path / "film.mp4", "film.mp4")
    assert (folder / "film.mp4").read_bytes() == b"film"
    monkeypatch.setattr(type(storage._files), "mv", lambda *names: 1 / 0)
    monkeypatch.setattr("avsf_det.files.os.replace", lambda *names: exec("raise OSError(28, 'No space left')"))
    with pytest.raises(UserError):
        storage.write("a/b.txt", b"two")
    assert storage.read("a/b.txt") == b"one"
    assert sorted(path.name for path in folder.rglob("*")) == ["a", "b.txt", "film.mp4"]
    for _ in range(2):
        storage.remove("film.mp4")
        storage.remove_folder("a")
    assert list(folder.iterdir()) == []


def test_free_name_existing_files_and_names_taken_are_numbered_past(storage):
    storage.write("film.csv", b"mine")
    assert storage.free_name("film", [".mp4", ".csv"], {"film_2.mp4"}, overwrite=False) == "film_3"
    assert storage.free_name("film", [".mp4"], set(), overwrite=False) == "film"
    assert storage.free_name("film", [".csv"], set(), overwrite=True) == "film"


def test_an_object_store_is_given_files_under_their_names_at_once(tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr("avsf_det.engine.many.storage._filesystem", lambda address: (memory, address[5:]))
    storage = Storage("s3://bucket/results")
    monkeypatch.setattr(type(memory), "mv", lambda *names: 1 / 0)
    storage.write("a.txt", b"one")
    assert storage.read("a.txt") == b"one" and storage.place("a.txt") == "s3://bucket/results/a.txt"


def test_attempts_are_counted_for_all_who_begin_them(storage):
    assert [Attempts(storage).begin("film"), Attempts(storage).begin("film"), Attempts(storage).begin("a")] == [1, 2, 1]
    Attempts(storage).end("film")
    assert Attempts(storage).begin("film") == 1 and Attempts(storage).begin("a") == 2
    storage.write(".avsf-det/.attempts/a", b"damaged")
    assert Attempts(storage).begin("a") == 1
    Attempts(storage).clear()
    Attempts(storage).clear()
    assert Attempts(storage).begin("a") == 1
