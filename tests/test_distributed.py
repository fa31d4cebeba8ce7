import multiprocessing
import os
import socket

import torch

from avsf_det import distributed


def test_alone_everything_is_ones_own(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.process_group(torch.device("cpu")):
        assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)
        assert (distributed.gather("a"), distributed.from_main("a"), distributed.add([1, 2])) == (["a"], "a", [1, 2])


def test_two_processes_give_each_other_their_values(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def work(rank):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
        with distributed.process_group(torch.device("cpu")):
            values = distributed.gather({"rank": distributed.rank(), "much": "x" * 1000 * rank})
            known = [(v["rank"], len(v["much"])) for v in values]
            (tmp_path / str(rank)).write_text(repr((known, distributed.from_main(rank), distributed.add([rank, 0.5]))))

    processes = [multiprocessing.get_context("fork").Process(target=work, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [(tmp_path / name).read_text() for name in "01"] == ["([(0, 0), (1, 1000)], 0, [1.0, 1.0])"] * 2
