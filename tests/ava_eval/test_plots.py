from xml.etree import ElementTree

from ava_eval import plots
from ava_eval.report import analyse


def test_every_picture_is_drawn_without_the_global_state_of_matplotlib(scene):
    import matplotlib

    before = dict(matplotlib.rcParams)
    report = analyse(scene, draws=10)
    for paint in (plots.classes, plots.precision_recall, plots.sweep, plots.errors, plots.oracle, plots.heights):
        picture = paint(report)
        assert ElementTree.fromstring(picture) is not None
        assert picture == paint(report)
    assert dict(matplotlib.rcParams) == before


def test_counts_on_the_logarithmic_axis_are_plain_numbers(scene):
    picture = plots.frequencies(analyse(scene, draws=10))
    assert b"mathdefault" not in picture and b">50<" in picture
