import os
import signal
import threading

import pytest

from trainers.interrupt import Interruption


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_waits_for_a_safe_moment(number):
    with Interruption() as interruption:
        press(number)
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
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in signals]
    with Interruption():
        assert all(signal.getsignal(one) is not old for one, old in zip(signals, before, strict=True))
    assert [signal.getsignal(number) for number in signals] == before


def test_other_threads_do_not_touch_signals():
    done = []

    def work():
        with Interruption() as interruption, interruption.allowed():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
