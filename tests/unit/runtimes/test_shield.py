"""A call that Ctrl-C does not cut in half."""

import os
import signal
import threading

import pytest

from daeploy_lib.runtimes.shield import uninterrupted


def test_what_it_returns_and_raises() -> None:
    """As without it."""
    assert uninterrupted(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        uninterrupted(lambda: 1 // 0)


def test_an_interruption_waits_until_the_call_has_ended() -> None:
    """Which takes some time after it came."""
    has_ended: list[bool] = []

    def call() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)
        has_ended.append(True)

    # A shell's background jobs ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            uninterrupted(call)
    finally:
        signal.signal(signal.SIGINT, before)
    assert has_ended
