"""
The first event of a request body, if the server has it already.

Asking a server for an event takes a task, because it may wait: a third of what a
small POST costs. uvicorn mostly has the whole body when it calls the application,
and tells so by an event, which is part of none of its promises: what it does not
have, or has otherwise, is asked for in the usual way.
"""

from typing import TYPE_CHECKING, Any, cast

from daeploy_lib.router.inbound import DISCONNECT, Event, Receive

if TYPE_CHECKING:
    from collections.abc import Coroutine

_SERVER = "uvicorn."


def event_at_hand(receive: Receive) -> Event | None:
    """
    Return the next event if that is there; None if it would have to be waited for.

    Args:
        receive: The server's.
    """
    cycle = getattr(receive, "__self__", None)
    if not type(cycle).__module__.startswith(_SERVER):
        return None
    is_there = getattr(cycle, "message_event", None)
    if is_there is None or not is_there.is_set():
        return None
    coroutine = cast("Coroutine[Any, Any, Event]", receive())
    try:
        coroutine.send(None)
    except StopIteration as done:
        event: Event = done.value
        return event
    except Exception:  # noqa: BLE001 - servers differ in how they say it
        return DISCONNECT
    coroutine.close()  # it waits: as if it had never been asked
    return None
