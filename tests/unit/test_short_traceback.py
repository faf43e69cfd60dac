"""Short tracebacks: what IPython is given when it asks an error for one."""

import traceback

import pytest

from daeploy_lib import DaeployError
from daeploy_lib.domain.names import check_name
from daeploy_lib.errors import ServiceNotFoundError, StartError
from daeploy_lib.short_traceback import short_traceback

NAME = "not a name"


def test_only_the_callers_lines() -> None:
    """Those of this library are counted, those of the caller are shown."""
    with pytest.raises(ValueError, match="not a name") as caught:
        check_name(
            NAME,
            "name",
        )
    [text] = short_traceback(caught.value)
    message, place, *source, last = text.replace("\n\n", "\n").splitlines()
    assert "ValueError" in message
    assert "test_short_traceback.py" in place
    assert source[0].endswith("check_name(")
    assert source[-1].endswith(")")
    assert len(source) == 4
    assert "left out; %tb Plain shows all" in last
    assert "names.py" not in text


@pytest.mark.parametrize(
    "error", [ServiceNotFoundError("hello"), StartError("It ended.", "hello", "1")]
)
def test_every_error_of_ours_has_one(error: DaeployError) -> None:
    """IPython finds it by the name of a method."""
    [text] = error._render_traceback_()
    assert text.startswith(f"\x1b[31m{type(error).__name__}\x1b[0m: ")
    assert str(error) in text


def test_a_services_output_does_nothing_to_the_terminal() -> None:
    """Controls in its last lines are escaped, ends of lines are kept."""
    error = StartError("It ended.", "hello", "1", log_lines=("\x1b[2Jgone", "\r\ud800"))
    [text] = error._render_traceback_()
    assert text.endswith("  \\x1b[2Jgone\n  \\r\\ud800")


def test_a_script_has_the_plain_traceback() -> None:
    """Nothing of it is left out there, also not the cause."""
    error = ServiceNotFoundError("hello")
    error.__cause__ = KeyError(1)
    plain = "".join(traceback.format_exception(error))
    assert plain.startswith("KeyError: 1\n\nThe above exception was the direct cause")
    assert plain.endswith(f"ServiceNotFoundError: {error}\n")
