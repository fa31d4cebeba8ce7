from avsf_det.data.classification.video_files import VideoFiles


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_files_are_found_by_name_at_any_depth(tmp_path):
    touch(tmp_path, "P01/videos/P01_01.MP4", "b.mp4", "b.txt")
    files = VideoFiles(tmp_path)
    assert files.find("P01_01") == files.find("P01_01.mp4") == "P01/videos/P01_01.MP4"
    assert files.find("b") == "b.mp4" and files.find("c") is None


def test_of_several_the_one_in_the_named_folder_is_meant(tmp_path):
    touch(tmp_path, "highjump/one.avi", "jump/one.avi", "walk/one.avi", "walk/two.5 m.avi")
    files = VideoFiles(tmp_path)
    assert files.find("walk/one.avi") == "walk/one.avi" and files.find("jump/one") == "jump/one.avi"
    assert files.find("elsewhere/two.5 m") == "walk/two.5 m.avi"


def test_files_at_a_path(tmp_path):
    touch(tmp_path, "a/b.mp4", "c.mp4")
    files = VideoFiles(tmp_path)
    assert files.has("a/b.mp4") and files.has("c.mp4") and files.has(f"{tmp_path}/a/b.mp4")
    assert not files.has("b.mp4") and not files.has("nowhere/b.mp4")


def test_links_may_lead_in_circles(tmp_path):
    touch(tmp_path, "a/b.mp4")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert VideoFiles(tmp_path).find("b") == "a/b.mp4"
