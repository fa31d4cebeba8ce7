import logging

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from avsf_det.visual.curves import draw_curves


def steps(count, kind="train"):
    values = {"loss": 0.5, "lr": 0.1, "data_seconds": 0.1, "compute_seconds": 0.3}
    return [{"kind": kind, "step": step, "epoch": step / 100, **values} for step in range(count)]


def evaluation(epoch, value):
    return {"kind": "eval", "step": 100 * epoch, "epoch": epoch, "mAP": value}


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A function that draws records and gives (title, label) -> (x, y) of the lines of each panel."""
    plots = []
    plot = Axes.plot

    def watched(self, x, y, **how):
        plots.append((self, how["color"], np.array(x), np.array(y), how.get("label")))
        return plot(self, x, y, **how)

    monkeypatch.setattr(Axes, "plot", watched)

    def draw(records):
        plots.clear()
        draw_curves(tmp_path / "curves.png", records)
        with Image.open(tmp_path / "curves.png") as image:
            assert image.format == "PNG" and image.size == (1100, 660)
        return {(axes.get_title("left"), label or ""): (x, y) for axes, _, x, y, label in plots}

    return draw


def test_every_measure_gets_its_panel(drawn):
    records = [record | {"avs_loss": 2 * record["loss"]} for record in steps(300)]
    lines = drawn([*records, evaluation(1, 0.2), evaluation(2, 0.3)])
    assert list(lines) == [
        ("loss", ""),
        ("loss", "loss"),
        ("loss", "avs_loss"),
        ("learning rate", ""),
        ("mAP", ""),
        ("time spent waiting for data: 25.0% in all", ""),
    ]
    np.testing.assert_allclose(lines["loss", "avs_loss"][1], 1.0)
    np.testing.assert_allclose(lines["mAP", ""], [[1, 2], [0.2, 0.3]])


def test_means_over_an_epoch_are_not_taken_for_steps(drawn):
    lines = drawn([*steps(3), *steps(3, "epoch"), evaluation(1, 0.5)])
    assert len(lines["loss", "loss"][0]) == 3 and lines["mAP", ""][1].tolist() == [0.5]


def test_the_running_mean_follows_the_course_and_bears_what_is_no_number(drawn):
    records = steps(1000)
    for record in records:
        record["loss"] = 1 - record["step"] / 1000 + 0.2 * (-1) ** record["step"]
    records[500]["loss"] = float("nan")
    _, mean = drawn(records)["loss", "loss"]
    assert len(mean) == 999 and np.isfinite(mean).all()
    np.testing.assert_allclose(mean[[100, 900]], [0.9, 0.1], atol=0.03)


@pytest.mark.parametrize("records", [[], steps(1), [{"kind": "train", "epoch": 1, "loss": 0.4}], [evaluation(1, 0)]])
def test_a_run_that_has_hardly_begun_is_drawn(drawn, records):
    drawn(records)


def test_the_same_records_give_the_same_file_and_nothing_else(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        draw_curves(tmp_path / "a.png", steps(5))
    draw_curves(tmp_path / "b.png", iter(steps(5)))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"} and not caplog.records
