"""Undo: what a deployment that failed has made is removed, and its version free."""

import logging
from collections.abc import Callable
from typing import TypeVar

from daeploy_lib.domain.spec import Spec
from daeploy_lib.errors import RegistryError, StateError
from daeploy_lib.lifecycle.killing import kill
from daeploy_lib.lifecycle.project import Project
from daeploy_lib.registry.records import State
from daeploy_lib.registry.registry import Reservation

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


def undo(
    project: Project, reservation: Reservation, *, was_made: bool, is_empty: bool
) -> None:
    """
    Remove whatever was made under a reservation, then give that back.

    What there is to remove is read from labels and not remembered, because
    Ctrl-C may come between the making of a thing and the memory of it.

    Args:
        project: Where it was made.
        reservation: Under which it was made.
        was_made: Whether the reservation is known to have been made.
        is_empty: Whether nothing has been made under it.
    """
    spec = reservation.spec
    state = _attempt(lambda: _state(project, reservation, was_made=was_made))
    if state is State.reserved:
        if not is_empty:
            _attempt(lambda: remove_remains(project, spec))
        _attempt(lambda: project.registry.release(reservation))
    elif state is State.deployed:
        # Published, but the caller will not know of it.
        _attempt(lambda: _kill(project, spec))


def remove_remains(project: Project, spec: Spec) -> None:
    """Remove the instance and the image of a version that is not published."""
    for instance in project.runtime.list(project.name):
        is_remains = (
            instance.name == spec.name
            and instance.version == spec.version
            and instance.registry == project.registry_id
        )
        if is_remains:
            project.runtime.stop(instance.id, grace=0.0)
    project.runtime.remove_artifact(spec, registry=project.registry_id)


def _state(
    project: Project, reservation: Reservation, *, was_made: bool
) -> State | None:
    """Return how far it has come; None if what there is may be somebody else's."""
    try:
        state = project.registry.state_of(reservation)
        if state is None and was_made:
            # The registry was lost and made anew. Taken again, it can be undone
            # without hurting anybody else who deploys the same version.
            project.registry.reserve(reservation)
            return State.reserved
    except RegistryError:
        return None
    except StateError:
        # Nobody can take the version in a registry that cannot be used.
        return State.reserved if was_made else None
    return state


def _kill(project: Project, spec: Spec) -> None:
    kill(project, spec.name, spec.version, keep_image=False, grace=0.0)


def _attempt(step: Callable[[], _T]) -> _T | None:
    """
    Undo one thing; what cannot be undone is logged and left for ``cleanup``.

    A second Ctrl-C does not stop the undoing: it would leave what the first
    one was meant to end.
    """
    try:
        try:
            return step()
        except KeyboardInterrupt:
            return step()
    except Exception:  # noqa: BLE001 - what failed the deployment matters more
        _log.warning("Could not undo a part of a failed deployment", exc_info=True)
        return None
