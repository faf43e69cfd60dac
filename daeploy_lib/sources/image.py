"""An image as the source of a version: taken as it is, pinned by digest."""

import re
from typing import Literal

import attrs

Pull = Literal["missing", "always", "never"]

_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_WORD = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
# The grammar of the distribution project's reference package; sha256 alone.
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_WORD}(?:/{_WORD})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_ID = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
# What Docker's own words for it are; they may be left out.
_DOCKER_HUB = re.compile(r"(?:(?:index\.)?docker\.io/)?(?:library/)?")
# Characters; the engine's limit for a name.
_NAME_MAX = 255


def _reference(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"An image is named by text, not by {type(value).__name__}.")
    found = _REFERENCE.fullmatch(value)
    is_name = found is not None and len(found["name"]) <= _NAME_MAX
    if not is_name and _ID.fullmatch(value) is None:
        # An address may have a password in it, and is not repeated.
        shown = "an address" if "://" in value or "@" in value else repr(value)
        raise ValueError(
            f"Invalid image: {shown[:200]}. Write it as name:tag, "
            f"registry.example:5000/name:tag, name@sha256:… or, for one that is on the "
            f"engine, as its ID sha256:…; names are lower-case."
        )
    return value


@attrs.frozen
class Image:
    """
    An image that exists: on the engine, or in a registry that it can pull from.

    It is run as it is, and must listen on ``port`` of ``deploy``; ``HOST`` and
    ``PORT`` are in its environment. What runs is pinned: the digest of the image
    is found out once, recorded, and shown by ``Deployer.inspect``; a tag that is
    moved later changes nothing. ``kill`` does not remove it. Registries that want
    a login are used with what ``docker login`` has stored.

    Its root file system can be written and its user is its own, since only it
    knows what it needs; capabilities are dropped all the same (see ``Hardening``).

    Args:
        reference: ``name:tag``, with a registry's host before it if it is not
            Docker Hub; ``name@sha256:…``; or an image ID. Without a tag:
            ``latest``.
        pull: ``"missing"``: pulled if it is not on the engine; ``"always"``: the
            registry is asked, since the tag may have been moved; ``"never"``: it
            must be on the engine.

    Raises:
        TypeError, ValueError: If it is no name of an image.

    Example:
        >>> image = Image("registry.example:5000/team/hello")
        >>> image.name, image.tag
        ('registry.example:5000/team/hello', 'latest')
        >>> Image("hello:1.0").reference
        'hello:1.0'
    """

    reference: str = attrs.field(converter=_reference)
    pull: Pull = attrs.field(default="missing", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.pull not in ("missing", "always", "never"):
            raise ValueError(
                f'pull must be "missing", "always" or "never", not {self.pull!r}.'
            )
        if self.is_id and self.pull == "always":
            raise ValueError("An image ID names no registry to pull from.")

    @property
    def is_id(self) -> bool:
        """Whether it is named by its ID, which only the engine knows."""
        return _ID.fullmatch(self.reference) is not None

    @property
    def name(self) -> str:
        """The repository, with its registry if one was given; "" for an ID."""
        return self._part("name")

    @property
    def tag(self) -> str:
        """The tag; "" if a digest is given without one."""
        return self._part("tag") or ("" if self.digest or self.is_id else "latest")

    @property
    def digest(self) -> str:
        """``sha256:…`` of the manifest that is asked for; "" if any will do."""
        return self._part("digest")

    @property
    def engine_name(self) -> str:
        """What the engine is asked for: a digest decides, whatever the tag."""
        if self.is_id:
            return self.reference
        end = f"@{self.digest}" if self.digest else f":{self.tag}"
        return self.name + end

    @property
    def shown(self) -> str:
        """The name and the tag, for people; the ID of one without."""
        if self.is_id:
            return self.reference
        return f"{self.name}:{self.tag}" if self.tag else self.name

    def is_of(self, repository: str) -> bool:
        """
        Return whether it is of a repository, however the engine writes that.

        Example:
            >>> Image("hello").is_of("docker.io/library/hello")
            True
        """
        return _plain(self.name) == _plain(repository)

    def _part(self, part: str) -> str:
        found = None if self.is_id else _REFERENCE.fullmatch(self.reference)
        return (found[part] or "") if found else ""


def _plain(repository: str) -> str:
    return _DOCKER_HUB.sub("", repository, count=1)
