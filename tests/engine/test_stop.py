import os
import signal
import threading

import pytest

from avsf_det.engine.stop import ASKING, StopSignals


@pytest.mark.parametrize("signum", ASKING, ids=lambda s: s.name)
def test_a_signal_is_noted_and_afterwards_means_what_it_did(signum):
    before = signal.getsignal(signum)
    with StopSignals() as stop:
        assert stop.signum == 0
        os.kill(os.getpid(), signum)
        assert stop.signum == signum
    assert signal.getsignal(signum) == before


def test_a_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_thread_can_train_too():
    noted = []

    def work():
        with StopSignals() as stop:
            noted.append(stop.signum)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert noted == [0]
