import pytest

from tests.data.classification.layouts import LAYOUTS


@pytest.fixture
def held(tmp_path, scenes):
    """A function that makes the dataset of a layout of tiny scenes, once a test, and returns its folder."""

    def make(layout, **options):
        root = tmp_path / layout
        if not root.exists():
            LAYOUTS[layout](root, sorted((scenes / "videos").glob("*.mp4")), **options)
        return root

    return make
