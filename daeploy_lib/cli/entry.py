"""Where ``daeploy`` begins and ends: signals, exit codes, a missing extra."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from daeploy_lib.cli.failing import INTERRUPTED, explain
from daeploy_lib.cli.writing import ReaderGoneError
from daeploy_lib.interruption import Interruption, under
from daeploy_lib.runtimes.base import Runtime

# The shell's own convention: 128 and the number of the signal.
_OF_SIGNAL = 128
_ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def main() -> None:
    """Run the command line of this process, and end it with the exit code."""
    asked = Interruption()
    received = end_on_signals(asked)
    with under(asked):
        code = run(sys.argv[1:])
    if code == INTERRUPTED and received:
        code = _OF_SIGNAL + received[0]
    sys.exit(code)


def run(arguments: Sequence[str], *, runtime: Runtime | None = None) -> int:
    """
    Run one command; return its exit code.

    What goes wrong is written to standard error, and raised to nobody.

    Args:
        arguments: The words behind ``daeploy``.
        runtime: Used instead of what ``--runtime`` names.
    """
    try:
        # Not at the top: it is an extra.
        from daeploy_lib.cli.application import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if str(error.name).startswith("daeploy_lib"):
            raise
        return explain(error)
    try:
        code = app(
            list(arguments), prog_name="daeploy", standalone_mode=False, obj=runtime
        )
        sys.stdout.flush()
        if code == INTERRUPTED:
            # Typer has made this of it.
            return explain(KeyboardInterrupt())
    except (BrokenPipeError, ReaderGoneError):
        return _reader_gone()
    except BaseException as error:  # noqa: BLE001 - the only place that explains them
        return explain(error)
    return code if isinstance(code, int) else 0


def end_on_signals(asked: Interruption) -> list[int]:
    """
    Have what ends a process do as Ctrl-C does; return where it is noted.

    Args:
        asked: Set as well, since Python drops an exception that comes while it removes
            an object: then the work ends at its next step.
    """
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        if number != signal.SIGINT:
            received.append(number)
        # Not here, in the middle of whatever may hold the same locks.
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=asked.set, daemon=True).start()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, *_ENDING):
        # Of a program that was started with nohup it stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    _silence_dropped_interrupts()
    return received


def _silence_dropped_interrupts() -> None:
    """Have Python say nothing of an interrupt that it drops: the work ends anyway."""
    usual = sys.unraisablehook

    def tell(dropped: "sys.UnraisableHookArgs") -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            usual(dropped)

    sys.unraisablehook = tell


def _reader_gone() -> int:
    """Do as programs do that are cut off by ``head``."""
    # Python writes what it still holds once more when it ends.
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return _OF_SIGNAL + signal.SIGPIPE
