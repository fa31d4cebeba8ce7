import numpy as np
import pytest

from avsf_det.data.importers.found import rate_by_sound, rate_by_times


@pytest.mark.parametrize("rate", [30, 25, 15, 1])
def test_the_rate_of_pictures_is_what_their_times_and_their_sound_need(rate):
    assert rate_by_times([(20 * rate, np.arange(20.0)), (8 * rate, np.arange(900.0, 908.0))]) == rate
    assert rate_by_sound(10 * rate, 10.05) == rate


def test_a_few_times_beyond_the_end_or_none_leave_it_at_30():
    assert rate_by_times([(900, np.append(np.arange(30.0), 40.0))]) == 30 and rate_by_times([]) == 30
    assert rate_by_sound(275, 10.0) is None
