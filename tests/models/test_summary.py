import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.models.build import build_model, example_inputs
from avsf_det.models.summary import format_summary, summarise


def rows(config, size=224, *overrides):
    cfg = load_cfg(config, overrides)
    with torch.device("meta"):
        return summarise(build_model(cfg).eval(), **example_inputs(cfg, size))


@pytest.mark.parametrize(
    ("config", "parameters", "gflops_224", "gflops_256"),
    [
        ("avslowfast_4x16_r50_release", 44_203_320, 31.27, 39.61),
        ("avslowfast_4x16_r50", 41_878_104 + 2_382_336, 31.67, 40.14),
        ("avslowfast_8x8_r50_release", 44_547_384, 53.42, 68.55),
        ("avslowfast_4x16_r101_release", 77_311_160, 58.86, 74.72),
        ("avslowfast_8x8_r101_release", 77_655_224, 102.86, 132.18),
        ("slowfast_4x16_r50", 34_480_216, 27.64, 36.10),
        ("slowfast_8x8_r50", 34_566_488, 50.31, 65.71),
        ("slowfast_8x8_r101", None, None, 106.5),
        ("slowfast_16x8_r101_nl", None, None, 242.015),
    ],
)
def test_parameters_and_operations_are_those_of_the_public_implementations(config, parameters, gflops_224, gflops_256):
    """Counted with fvcore on fanyix/SlowFast and PySlowFast: convolutions and linear layers."""
    for size, gflops in ((224, gflops_224), (256, gflops_256)):
        if gflops:
            table = rows(f"kinetics/{config}", size)
            digits = 2 if gflops != 106.5 else 1
            assert sum(row.gflops for row in table) == pytest.approx(gflops, abs=0.6 * 10**-digits)
            assert parameters in (None, sum(row.parameters for row in table))


def test_the_rows_are_a_model_s_pathways_and_stages():
    table = {(row.stage, row.pathway): row for row in rows("kinetics/avslowfast_4x16_r50_release")}
    assert table["res3", "Audio"].shape == (256, 1, 64, 40) and table["res5", "Audio"].shape == (1024, 1, 16, 10)
    assert table["after res3", "joined"].shape[0] == 640 and table["after res4", "joined"].shape[0] == 1280
    assert table["res4", "Fast"].shape == (128, 32, 14, 14) and table["conv1, pool1", "Slow"].shape == (64, 4, 56, 56)
    assert ("after pool1", "joined") not in table
    assert table["head", "joined"].parameters == 3328 * 400 + 400
    assert sum(row.parameters for (_, pathway), row in table.items() if pathway == "Audio") == 6_124_032


def test_the_table_can_be_read():
    text = format_summary(rows("ava/slowfast_4x16_r50", 256))
    lines = text.splitlines()
    assert lines[0].split() == ["stage", "pathway", "C", "x", "T", "x", "H", "x", "W", "parameters", "GFLOPs"]
    assert "2048 x 4 x 16 x 16" in text and "33,742,616" in lines[-1]
    assert len({len(line) for line in lines}) == 1


def test_blocks_that_pool_over_time_have_the_operations_of_the_paper():
    table = rows("kinetics/slowfast_16x8_r101_nl", 256, "NONLOCAL.POOL", "[2, 2, 2]")
    assert sum(row.gflops for row in table) == pytest.approx(233.96, abs=0.006)
