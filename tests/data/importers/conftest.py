"""Small videos to go with small exports."""

import pytest

from tests.data.importers.files import film


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """A folder with `clip 1.mp4` (4 s, 10 frames a second, 64x48), `sub/clip2.mp4` (the same) and `broken.mp4`."""
    root = tmp_path_factory.mktemp("videos")
    film(root / "clip 1.mp4", 40)
    film(root / "sub" / "clip2.mp4", 40)
    (root / "broken.mp4").write_bytes(b"")
    return root
