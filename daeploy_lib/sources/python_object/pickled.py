"""
Pickling an object by value, with what its code needs, alike each time.

A function is pickled with its code, its closure and the globals that it uses, so
that lambdas and functions of a notebook work. What cloudpickle would add of this
machine and this process is left out: the paths of files, and the random names by
which classes are known again. So the same object has the same digest.
"""

import dis
import io
import pickletools
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import attrs

from daeploy_lib.errors import SourceError

# More is no code but data, and belongs in a file. 500 times a usual model.
OBJECT_BYTES_MAX = 512 * 1024**2
_REMEDY = "Make what it needs inside the function, or deploy a directory."
_TEXTS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
_RANDOM = re.compile(r"[0-9a-f]{32}")
# Where the random name stands in the arguments of each maker, from the end.
_TRACKER = {"_make_skeleton_class": -2, "_make_skeleton_enum": -2, "_make_typevar": -1}


@attrs.frozen
class Pickled:
    """
    An object as bytes.

    Attributes:
        content: The pickle.
        modules: Full names of the modules that it needs when it is read, and
            of those that its code imports when it runs.
    """

    content: bytes = attrs.field(repr=False)
    modules: frozenset[str]


class _TooLargeError(Exception):
    """The pickle exceeds its bound."""


class _Bounded(io.BytesIO):
    """Bytes in memory, and no more of them than is allowed."""

    def write(self, chunk: Any, /) -> int:
        if self.tell() + memoryview(chunk).nbytes > OBJECT_BYTES_MAX:
            raise _TooLargeError
        return super().write(chunk)


def load_cloudpickle() -> Any:
    """
    Return the module cloudpickle.

    Raises:
        ImportError: If it is missing; says what installs it.
    """
    try:
        import cloudpickle  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(
            "Deploying a Python object needs cloudpickle. Install it with "
            "pip install 'daeploy-lib[notebook]'.",
            name="cloudpickle",
        ) from error
    return cloudpickle


def pickled(value: object, name: str, remedy: str = _REMEDY) -> Pickled:
    """
    Return an object as a pickle that another process can read.

    Args:
        value: The object.
        name: What it is called; errors tell.
        remedy: What to do if it cannot be pickled; a sentence.

    Raises:
        SourceError: If it, or something that it refers to, cannot be pickled,
            or if it is too large. Names what it is.
        ImportError: If cloudpickle is missing.
    """
    cloudpickle = load_cloudpickle()
    try:
        content, modules = _dumped(cloudpickle, value)
    except _TooLargeError:
        raise _too_large(cloudpickle, value, name) from None
    except Exception as error:
        why = _reason(cloudpickle, value, error)
        raise SourceError(
            f"{name} cannot be taken to another process: {why}. {remedy}",
            stage="source",
        ) from error
    return Pickled(content, frozenset(modules | set(_referenced(content))))


def _dumped(cloudpickle: Any, value: object) -> tuple[bytes, set[str]]:
    """Return the pickle, and the modules that are imported by its code."""
    modules: set[str] = set()
    ordinary = cloudpickle.Pickler.dispatch_table

    def code_reduced(code: types.CodeType) -> Any:
        modules.update(_imported(code))
        file = code.co_filename.rpartition("/")[2]
        return ordinary[types.CodeType](code.replace(co_filename=file))

    def typevar_reduced(variable: TypeVar) -> Any:
        return _alike(ordinary[TypeVar](variable))

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """Leaves out what differs between processes and machines."""

        dispatch_table: ClassVar = {
            **ordinary,
            types.CodeType: code_reduced,
            TypeVar: typevar_reduced,
            **_reducers(),
        }

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, types.ModuleType):
                modules.add(obj.__name__)
            return _alike(super().reducer_override(obj))

    file = _Bounded()
    Pickler(file).dump(value)
    return file.getvalue(), modules


def _reducers() -> dict[type, Callable[[Any], Any]]:
    """Return how to pickle what does not know it itself."""
    starlette = sys.modules.get("starlette.datastructures")
    if starlette is None:
        return {}
    # It looks for its attributes in one that it does not have when it is made
    # without its __init__.
    kind = starlette.State
    return {kind: lambda state: (kind, (dict(vars(state)["_state"]),))}


def _alike(reduced: Any) -> Any:
    """Return what cloudpickle makes of a function or class, alike each time."""
    if not isinstance(reduced, tuple) or not isinstance(reduced[1], tuple):
        return reduced
    maker, arguments, *state = reduced
    kind = getattr(maker, "__name__", "")
    if kind == "_make_function" and isinstance(arguments[1], dict):
        # Shared by all functions of a module; code that uses it gets its own.
        arguments[1].pop("__file__", None)
        arguments[1].pop("__path__", None)
    elif kind in _TRACKER:
        at = len(arguments) + _TRACKER[kind]
        # Another release of cloudpickle may have another order.
        if isinstance(arguments[at], str) and _RANDOM.fullmatch(arguments[at]):
            arguments = (*arguments[:at], None, *arguments[at + 1 :])
    return (maker, arguments, *state)


def _imported(code: types.CodeType) -> Iterator[str]:
    """Yield the modules that a function imports when it runs."""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME" and step.argval:
            yield step.argval


def _referenced(content: bytes) -> Iterator[str]:
    """Yield the modules that a pickle takes names from; nothing is loaded."""
    memo: list[str | None] = []
    texts: list[str | None] = []
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in _TEXTS:
            texts.append(str(argument))
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            texts.append(memo[int(argument)])  # type: ignore[arg-type]
        elif opcode.name == "MEMOIZE":
            memo.append(texts[-1] if texts else None)
        elif opcode.name == "STACK_GLOBAL":
            yield str(texts[-2])
            texts.append(None)
        elif opcode.name != "FRAME":
            texts.append(None)


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Yield what an object refers to, with the words for it."""
    value = getattr(value, "__func__", value)
    code = getattr(value, "__code__", None)
    if isinstance(value, types.FunctionType) and isinstance(code, types.CodeType):
        cells = zip(code.co_freevars, value.__closure__ or (), strict=False)
        for name, cell in cells:
            try:
                yield name, cell.cell_contents
            except ValueError:  # not yet given a value
                continue
        for name in code.co_names:
            if name in value.__globals__:
                yield name, value.__globals__[name]
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        yield from (("a default of it", default) for default in defaults)
    elif isinstance(value, dict):
        yield from ((f"its {key!r:.40}", part) for key, part in value.items())
    else:
        for name, part in getattr(value, "__dict__", {}).items():
            yield f"its .{name}", part


def _first(value: object, fails: Callable[[object], bool]) -> tuple[str, object] | None:
    """Return the part that is to blame, as deep as it can be named."""
    found = None
    words = ""
    for _ in range(5):
        culprit = next((part for part in _parts(value) if fails(part[1])), None)
        if culprit is None:
            break
        words = f"{words}, {culprit[0]}" if words else culprit[0]
        value = culprit[1]
        found = words, value
    return found


def _culprit(cloudpickle: Any, value: object) -> tuple[str, object] | None:
    """Return what an object refers to that cannot be pickled, with words for it."""

    def fails(part: object) -> bool:
        try:
            _dumped(cloudpickle, part)
        except Exception:  # noqa: BLE001 - it may raise anything
            return True
        return False

    return _first(value, fails)


def _reason(cloudpickle: Any, value: object, error: Exception) -> str:
    found = _culprit(cloudpickle, value)
    if found is None:
        return f"{type(error).__name__}: {error}"
    kind = type(found[1])
    # The bare name, as Python's own messages have it.
    what = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"it refers to {found[0]}, a {what}, which cannot be pickled"


def _too_large(cloudpickle: Any, value: object, name: str) -> SourceError:
    found = _culprit(cloudpickle, value)
    because = f", because of {found[0]}" if found else ""
    return SourceError(
        f"{name} is more than {OBJECT_BYTES_MAX // 1024**2} MiB as a pickle{because}. "
        f"Keep data in a file that is given with mounts=[…], and read it there.",
        stage="source",
    )
