"""Work in a thread that is asked to end looks at its token between its steps."""

import threading

import pytest

from daeploy_lib.interruption import (
    Interrupted,
    Interruption,
    check,
    is_interrupted,
    under,
    wait,
    waking,
)


def test_nothing_asks_work_that_is_under_no_token() -> None:
    """Checks and waits are then what they look like."""
    check()
    wait(0)
    with waking(lambda: pytest.fail("woken")):
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


def test_what_wakes_is_called_once_and_only_in_its_block() -> None:
    """Also if the token was set before the block began."""
    asked = Interruption()
    calls: list[str] = []
    with under(asked):
        with waking(lambda: calls.append("gone")):
            pass
        with waking(lambda: calls.append("here")):
            asked.set()
        with waking(lambda: calls.append("late")):
            pass
    assert calls == ["here", "late"]


def test_no_hook_for_errors_takes_it_for_one() -> None:
    """As with Ctrl-C, ``except Exception`` lets it pass."""
    assert not issubclass(Interrupted, Exception)
