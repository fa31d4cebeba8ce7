import pickle

import numpy as np

from detectors import stream
from detectors.stream import Share, TrainingStream


def draw(record):
    return record, np.random.uniform()


def test_stream_depends_on_seed_and_position_alone():
    records = list(range(7))
    one, other = TrainingStream(records, draw, 0), TrainingStream(records, draw, 1)
    forwards = [one[position] for position in range(21)]
    assert [TrainingStream(records, draw, 0)[position] for position in range(20, -1, -1)] == forwards[::-1]
    assert [other[position] for position in range(21)] != forwards
    epochs = [[record for record, _ in forwards[start : start + 7]] for start in (0, 7, 14)]
    assert all(sorted(epoch) == records for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert len({number for _, number in forwards}) == 21


def test_stream_reaches_worker_processes_however_they_are_started():
    one = TrainingStream(list(range(7)), draw, 0)
    assert pickle.loads(pickle.dumps(one))[9] == one[9]


def test_processes_share_each_batch(monkeypatch):
    alone = list(Share(2, 5, 6))
    assert alone == list(range(12, 30))
    monkeypatch.setattr(stream.distributed, "world_size", lambda: 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(stream.distributed, "rank", lambda rank=rank: rank)
        shares.append(Share(2, 5, 6))
    assert all(len(share) == len(list(share)) == 6 and share.size == 2 for share in shares)
    parts = [list(share) for share in shares]
    together = [position for batch in range(3) for part in parts for position in part[2 * batch : 2 * batch + 2]]
    assert together == alone
