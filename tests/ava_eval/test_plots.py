from xml.etree import ElementTree

import pytest

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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("跑步 (跑)", "跑步 (跑)"),
        ("中" * 60, "中" * 16 + "…"),
        ("q\u0301" * 60, "q\u0301" * 33 + "…"),
        ("a\x00b\x01\udc80\u202ec\nd", "a?b???c?d"),
        ("$x_1$ \\alpha <b>&", "$x_1$ \\alpha <b>&"),
        ("مرحبا", "مرحبا"),
        ("x" * 10_000, "x" * 33 + "…"),
    ],
)
def test_draw_writes_names_of_any_script_as_they_are(name, shown):
    def paint(figure):
        axes = figure.add_subplot()
        axes.barh([0], [0.5])
        axes.set_yticks([0], [plots._label(name)])
        plots._legend(axes, {name: "#3b6fb6"})

    picture = ElementTree.fromstring(plots.draw(4, 2, paint))
    texts = [(element.text or "").strip("\u00a0") for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count(shown) == 2
