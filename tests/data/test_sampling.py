from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.sampling import RunSampler
from avsf_det.errors import UserError


def split(lengths, gaps=()):
    """The videos and times of samples one second apart in videos of these lengths; further apart before `gaps`."""
    videos = np.repeat(np.arange(len(lengths)), lengths)
    times = np.concatenate([np.arange(length, dtype=float) for length in lengths])
    for place in gaps:
        times[place:] += 10
    return videos, times


plans = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 40), min_size=1, max_size=12),
        "batch_size": st.integers(1, 9),
        "run_length": st.integers(1, 6),
        "world_size": st.integers(1, 3),
        "epoch": st.integers(0, 5),
    }
)


def samplers(lengths, batch_size, run_length, world_size, seed=3):
    videos, times = split(lengths)
    return [
        RunSampler(videos, times, batch_size, seed, run_length, 3.0, rank, world_size) for rank in range(world_size)
    ]


def batches(sampler, epoch, start=0):
    return [batch.tolist() for window in sampler.windows(epoch, start) for batch in window.batches]


@given(plans)
def test_every_rank_gets_as_many_batches_and_no_sample_comes_twice(plan):
    epoch, count = plan.pop("epoch"), sum(plan["lengths"])
    if count < plan["world_size"]:
        with pytest.raises(UserError, match=r"clips for \d processes"):
            samplers(**plan)
        return
    ranks = samplers(**plan)
    size = min(plan["batch_size"], count // plan["world_size"])
    everything = []
    for rank in ranks:
        mine = batches(rank, epoch)
        assert len(mine) == len(rank) == len(ranks[0]) > 0
        assert all(len(batch) == size for batch in mine)
        everything += [index for batch in mine for index in batch]
    assert len(everything) == len(set(everything)) and set(everything) <= set(range(count))
    assert count - len(everything) < plan["world_size"] * size


@given(plans, st.integers(0, 100))
def test_an_epoch_goes_on_from_any_batch_and_reads_nothing_else(plan, start):
    epoch = plan.pop("epoch")
    if sum(plan["lengths"]) < plan["world_size"]:
        return
    sampler = samplers(**plan)[-1]
    start = min(start, len(sampler))
    assert batches(sampler, epoch, start) == batches(sampler, epoch)[start:]
    for window in sampler.windows(epoch, start):
        wanted = sorted(index for batch in window.batches for index in batch)
        assert sorted(index for run in window.runs for index in run) == wanted


@given(plans)
def test_runs_are_neighbours_in_one_video_in_order_of_time(plan):
    epoch = plan.pop("epoch")
    if sum(plan["lengths"]) < plan["world_size"]:
        return
    videos, _ = split(plan["lengths"])
    for window in samplers(**plan)[0].windows(epoch):
        for run in window.runs:
            assert 0 < len(run) <= plan["run_length"]
            assert len(set(videos[run])) == 1 and (np.diff(run) == 1).all()


def test_neighbours_are_in_different_batches():
    (sampler,) = samplers([40] * 10, 4, 4, 1)
    for window in sampler.windows(0):
        batch_of = {index: number for number, batch in enumerate(window.batches) for index in batch.tolist()}
        for run in window.runs:
            assert len({batch_of[index] for index in run.tolist()}) == len(run)


def test_most_runs_are_whole_and_begin_elsewhere_in_each_epoch():
    (sampler,) = samplers([400], 4, 4, 1)
    starts = [[int(run[0]) % 4 for window in sampler.windows(epoch) for run in window.runs] for epoch in range(8)]
    common = [max(set(some), key=some.count) for some in starts]
    assert len(set(common)) > 1
    assert all(len(some) < 1.3 * 100 for some in starts)


def test_clips_far_apart_are_read_alone():
    videos, times = split([8], gaps=[3])
    sampler = RunSampler(videos, times, 8, 0, run_length=8, max_gap=3.0)
    for epoch in range(5):
        for window in sampler.windows(epoch):
            assert not any({2, 3} <= set(run.tolist()) for run in window.runs)


def test_what_is_left_out_and_the_order_change_from_epoch_to_epoch():
    (sampler,) = samplers([7, 6, 9], 4, 3, 1)
    left = [set(range(22)) - {i for batch in batches(sampler, epoch) for i in batch} for epoch in range(6)]
    assert all(len(some) == 2 for some in left) and len({tuple(sorted(some)) for some in left}) > 1
    assert batches(sampler, 1) == batches(sampler, 1) != batches(sampler, 2)
    assert batches(samplers([7, 6, 9], 4, 3, 1, seed=4)[0], 1) != batches(sampler, 1)


@given(plans, st.integers(0, 12), st.integers(0, 100))
def test_run_sampler_with_any_window_gives_each_sample_once_and_resumes(plan, window, start):
    epoch, count = plan.pop("epoch"), sum(plan["lengths"])
    if count < plan["world_size"]:
        return
    videos, times = split(plan["lengths"])
    sampler = RunSampler(videos, times, plan["batch_size"], 3, plan["run_length"], 3.0, window=window)
    everything = batches(sampler, epoch)
    indices = [index for batch in everything for index in batch]
    assert len(everything) == len(sampler) and len(indices) == len(set(indices))
    assert batches(sampler, epoch, start % len(sampler)) == everything[start % len(sampler) :]


def test_run_sampler_with_a_wider_window_moves_neighbors_apart():
    videos, times = split([300] * 20)

    def near(window):
        """The fraction of samples within 2 s of one of the batch before."""
        every = batches(RunSampler(videos, times, 32, 0, 4, 3.0, window=window), 0)
        pairs = pairwise(every)
        found = [(videos[a] == videos[i]) & (abs(times[a] - times[i]) <= 2) for a, b in pairs for i in b]
        return np.mean([one.any() for one in found])

    assert near(0) > 0.5 > 0.25 > near(16)
