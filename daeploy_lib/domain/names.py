"""
Names, versions and projects: what is allowed, and how they are encoded.

Every encoding here is injective: two different services never share a route,
a container name or an image tag. Nothing is ever decoded by splitting; the
originals are read from labels.
"""

import re

NAME_MAX = 40
VERSION_MAX = 64

# ASCII only and matched in full: in Python ``\w`` is Unicode and ``$`` lets a
# final newline through.
_NAME = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*", re.ASCII)
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]*", re.ASCII)

_NAME_RULE = (
    "lower-case letters and digits, single '-' or '_' between them, "
    f"at most {NAME_MAX} characters"
)
_VERSION_RULE = (
    "letters, digits, '.', '+' and '-', beginning with a letter or digit, "
    f"at most {VERSION_MAX} characters"
)


def check_name(name: str, what: str = "name") -> str:
    """
    Return *name* if a service or project may be called that.

    Raises:
        TypeError: If it is no string.
        ValueError: If it breaks the rule, which the message states.

    Example:
        >>> check_name("iris-model")
        'iris-model'
    """
    return _check(name, what, _NAME, NAME_MAX, _NAME_RULE)


def check_version(version: str) -> str:
    """
    Return *version* if a version may be called that.

    Raises:
        TypeError: If it is no string.
        ValueError: If it breaks the rule, which the message states.

    Example:
        >>> check_version("1.0.0-rc1+linux")
        '1.0.0-rc1+linux'
    """
    return _check(version, "version", _VERSION, VERSION_MAX, _VERSION_RULE)


def _check(
    text: str, what: str, pattern: re.Pattern[str], limit: int, rule: str
) -> str:
    if not isinstance(text, str):
        raise TypeError(f"The {what} must be a string, not {type(text).__name__}.")
    if len(text) > limit or not pattern.fullmatch(text):
        raise ValueError(f"Invalid {what} {text!r}. Allowed: {rule}.")
    return text


def version_segment(name: str, version: str) -> str:
    """
    Return the route segment that reaches this one version.

    Example:
        >>> version_segment("hello", "1.0.0")
        'hello_1.0.0'
    """
    return f"{name}_{version}"


def container_name(project: str, name: str, version: str) -> str:
    """
    Return the name of a version's container and of its host on the network.

    Projects and names hold no dot and versions no underscore, so the first
    three dots delimit and ``+``, which Docker forbids, may become ``_``.

    Example:
        >>> container_name("default", "hello", "1.0.0+gpu")
        'daeploy.default.hello.1.0.0_gpu'
    """
    return f"daeploy.{project}.{name}.{_without_plus(version)}"


def image_tag(project: str, name: str, version: str) -> str:
    """
    Return the tag of an image that we build.

    Example:
        >>> image_tag("default", "hello", "1.0.0+gpu")
        'daeploy/default/hello:1.0.0_gpu'
    """
    return f"daeploy/{project}/{name}:{_without_plus(version)}"


def _without_plus(version: str) -> str:
    return version.replace("+", "_")
