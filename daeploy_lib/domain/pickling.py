"""How frozen values that hold read-only mappings are pickled and copied."""

from types import MappingProxyType
from typing import Any

import attrs


def reduced(value: Any) -> tuple[type, tuple[Any, ...]]:
    """
    Return what ``__reduce__`` gives for a frozen value: its class and its fields.

    A read-only view of a mapping cannot be pickled; the class makes a new one of
    the plain copy, and checks every field again.

    Args:
        value: An instance of an attrs class whose fields are all positional.
    """
    fields = (getattr(value, field.name) for field in attrs.fields(type(value)))
    return type(value), tuple(
        dict(field) if isinstance(field, MappingProxyType) else field
        for field in fields
    )
