"""Work in a thread that is asked to end looks at its token between its steps."""

import threading

import pytest

from daeploy_lib.interruption import (
    Interrupted,
    Interruption,
    check,
    ended_by,
    is_interrupted,
    not_waited_for,
    under,
    wait,
)


def test_nothing_asks_work_that_is_under_no_token() -> None:
    """Checks and waits are then what they look like."""
    check()
    wait(0)
    with ended_by(lambda: pytest.fail("woken")):
        assert not is_interrupted()
    with under(None):
        check()


def test_a_token_ends_the_work_of_its_own_block_alone() -> None:
    """Once it is set, each check and wait raises; outside of it none does."""
    asked = Interruption()
    with under(asked):
        check()
        assert not is_interrupted()
        asked.set()
        assert is_interrupted()
        for step in (check, lambda: wait(60)):
            with pytest.raises(Interrupted):
                step()
    check()


def test_a_wait_is_woken_from_another_thread() -> None:
    """Without that it would outlast the test's own deadline."""
    asked = Interruption()
    with under(asked):
        thread = threading.Thread(target=asked.set)
        thread.start()
        with pytest.raises(Interrupted):
            wait(600)
        thread.join()


def test_what_wakes_is_called_only_in_its_block() -> None:
    """Also if the token was set before the block began."""
    asked = Interruption()
    calls: list[str] = []
    with under(asked):
        with ended_by(lambda: calls.append("gone")):
            pass
        with pytest.raises(Interrupted), ended_by(lambda: calls.append("here")):
            asked.set()
        with pytest.raises(Interrupted), ended_by(lambda: calls.append("late")):
            pass
    assert calls == ["here", "late"]


def test_what_waking_breaks_is_not_taken_for_a_failure() -> None:
    """Without a request to end, a failure is one."""
    asked = Interruption()
    with under(asked):
        with pytest.raises(OSError, match="broken"), ended_by(lambda: None):
            raise OSError("broken")
        asked.set()
        with pytest.raises(Interrupted), ended_by(lambda: None):
            raise OSError("hung up")


def test_what_is_not_waited_for_goes_on_alone() -> None:
    """Until then it is as if it were called."""
    asked, may_end, ended = Interruption(), threading.Event(), threading.Event()

    def slow() -> None:
        may_end.wait(60)
        ended.set()
        raise OSError("nobody hears of it")

    with under(asked):
        not_waited_for(lambda: None)
        with pytest.raises(OSError, match="broken"):
            not_waited_for(fail)
        threading.Timer(0.05, asked.set).start()
        with pytest.raises(Interrupted):
            not_waited_for(slow)
    may_end.set()
    assert ended.wait(60)
    with pytest.raises(OSError, match="broken"):
        not_waited_for(fail)


def fail() -> None:
    """Raise an error."""
    raise OSError("broken")


def test_no_hook_for_errors_takes_it_for_one() -> None:
    """As with Ctrl-C, ``except Exception`` lets it pass."""
    assert not issubclass(Interrupted, Exception)
