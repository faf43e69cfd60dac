"""Where an ASGI application can be imported from."""

import ast
import inspect
import sys
import types
from collections.abc import Iterator

_MAIN = "__main__"


def importable(application: object) -> tuple[str, str] | None:
    """
    Return the module and the name that an application is imported by.

    It has none if it was made in a notebook or in the script itself, or in a
    function.
    """
    found = sorted(_makers(application))
    return found[0][1:] if found else None


def _makers(application: object) -> Iterator[tuple[int, str, str]]:
    """Yield which modules assign it, and not only import it from another."""
    # Some put other things than modules there.
    loaded: dict[str, object] = dict(sys.modules)
    for name, module in loaded.items():
        if not isinstance(module, types.ModuleType) or not _is_importable(name, module):
            continue
        for attribute, value in list(vars(module).items()):
            if value is application and _assigns(module, attribute):
                yield len(name), name, attribute


def _is_importable(name: str, module: types.ModuleType) -> bool:
    # multiprocessing knows the script by a second name, "__mp_main__".
    is_named = all(map(str.isidentifier, name.split(".")))
    return is_named and name == module.__name__ and name != _MAIN


def _assigns(module: types.ModuleType, attribute: str) -> bool:
    """Return whether a module says itself what its attribute is."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return False
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == attribute:
                return True
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            for part in ast.walk(node):
                if (
                    isinstance(part, ast.Name)
                    and isinstance(part.ctx, ast.Store)
                    and part.id == attribute
                ):
                    return True
    return False
