"""What a Python object is: a function, an ASGI application or an estimator."""

import functools
import inspect
import sys
import types
from typing import Any, Protocol

from daeploy_lib.errors import SourceError

_ASGI = ("scope", "receive", "send")
_WSGI = ("environ", "start_response")
POSSIBLE = (
    "a function, an ASGI application, or a fitted estimator with a predict method"
)


class Estimator(Protocol):
    """Something fitted, as scikit-learn has it."""

    def predict(self, inputs: Any, /) -> Any:
        """Return a prediction for each row."""
        ...


def kind_of(value: object) -> str:
    """
    Return ``application``, ``estimator`` or ``function``.

    Raises:
        TypeError: If it is none of these.
        SourceError: If it is one that cannot be served; says why.
    """
    if isinstance(value, type | types.ModuleType):
        is_class = isinstance(value, type)
        remedy = "Make an instance of it." if is_class else "Name what is in it."
        raise TypeError(
            f"A source is a path or Directory(...), or {POSSIBLE}, and "
            f"{value.__name__} is a {'class' if is_class else 'module'}. {remedy}"
        )
    if is_application(value):
        return "application"
    if callable(getattr(value, "predict", None)):
        _check_fitted(value)
        return "estimator"
    if not callable(value):
        raise TypeError(
            f"A source is a path or Directory(...), or {POSSIBLE}, not "
            f"{type(value).__name__}."
        )
    _check_function(value)
    return "function"


def name_of(value: object) -> str:
    """Return the name of an object, for people."""
    value = value.func if isinstance(value, functools.partial) else value
    return str(getattr(value, "__name__", "") or type(value).__name__)


def is_application(value: object) -> bool:
    """Return whether something is called as ASGI says."""
    return _is_called_with(value, _ASGI)


def is_starlette(value: object) -> bool:
    """Return whether an application takes the prefix as Starlette does."""
    return any(c.__module__.partition(".")[0] == "starlette" for c in type(value).mro())


def _is_called_with(value: object, names: tuple[str, ...]) -> bool:
    if not callable(value):
        return False
    try:
        parameters = inspect.signature(value).parameters
    except (TypeError, ValueError):
        return False
    return tuple(parameters) == names


def _check_function(value: Any) -> None:
    name = name_of(value)
    if _is_called_with(value, _WSGI):
        raise _refused(
            f"{name} is a WSGI application. Make an ASGI application of it, such as "
            f"a2wsgi.WSGIMiddleware({name})"
        )
    if inspect.isgeneratorfunction(value) or inspect.isasyncgenfunction(value):
        raise _refused(
            f"{name} yields its results, and an answer has one. Return a list of them"
        )
    try:
        inspect.signature(value)
    except (TypeError, ValueError):
        raise _refused(
            f"{name} does not say which arguments it takes. Call it in a function of "
            f"your own, and deploy that"
        ) from None


def _check_fitted(value: Any) -> None:
    """Refuse what scikit-learn says has not been fitted."""
    base = sys.modules.get("sklearn.base")
    if base is None or not isinstance(value, base.BaseEstimator):
        return
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415

    try:
        check_is_fitted(value)
    except NotFittedError:
        raise _refused(
            f"this {type(value).__name__} is not fitted. Call its fit method first"
        ) from None


def _refused(why: str) -> SourceError:
    return SourceError(f"Cannot use this object as a source: {why}.", stage="source")
