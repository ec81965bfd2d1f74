import os
import signal
import threading

import pytest

from trainers.interrupt import Interruption


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_for_a_safe_moment():
    with Interruption() as interruption:
        press()
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt), interruption.allowed():
            pytest.fail("it is raised before the block")
        assert not interruption.forced


def test_ctrl_c_is_raised_at_once_where_it_is_allowed():
    reached = []
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt), interruption.allowed():  # noqa: PT012  the order is what is tested
        press()
        reached.append("after")
    assert not reached


def test_a_second_ctrl_c_does_not_wait():
    with Interruption() as interruption:
        press()
        with pytest.raises(KeyboardInterrupt):
            press()
        assert interruption.forced


def test_ctrl_c_is_given_back():
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_do_not_touch_signals():
    done = []

    def work():
        with Interruption() as interruption, interruption.allowed():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
