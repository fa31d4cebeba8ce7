import math

import pytest

from avsf_det.config import get_cfg, keys_of, load_cfg, merge_yaml
from avsf_det.config_limits import LIMITS, shown
from avsf_det.errors import UserError


def test_limits_are_of_keys_that_there_are():
    assert LIMITS.keys() <= set(keys_of(get_cfg()))


@pytest.mark.parametrize("key", LIMITS)
def test_load_cfg_of_a_number_out_of_range_names_the_range(key):
    least, most = LIMITS[key]
    default = load_cfg()
    for name in key.split("."):
        default = default[name]
    for value in (least - 1, most + 1, -(10**12), 10**12):
        text = str([value]) if isinstance(default, list) else str(value)
        text = f"[[{value}], [], [], []]" if key == "NONLOCAL.LOCATION" else text
        with pytest.raises(UserError, match=rf"command line: {key} expects"):
            load_cfg(None, [key, text])


@pytest.mark.parametrize("value", ["nan", ".nan", "inf", "-.inf", "1e999"])
def test_merge_yaml_of_a_float_that_is_not_finite_is_refused(value):
    with pytest.raises(UserError, match=r"SOLVER.BASE_LR expects"):
        merge_yaml(get_cfg(), f"SOLVER: {{BASE_LR: {value}}}", "a.yaml")


def test_shown_of_a_value_of_any_size_is_short():
    nested = []
    for _ in range(60):
        nested = [nested, nested]
    assert max(map(len, map(shown, ("x" * 10**6, nested, [1] * 10**6, math.pi)))) < 1000
