"""What a repository says it has, and which commit of it is meant."""

import difflib
import re

import attrs

_OBJECT = re.compile(r"(?P<id>[0-9a-f]{40}|[0-9a-f]{64})\t(?P<name>.+)")
_WHOLE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PART = re.compile(r"[0-9a-f]{7,63}")
_PEELED = "^{}"
_SHA256_DIGITS = 64
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_CLOSE_MAX, _NAMES_MAX = 3, 5


class UnknownRefError(Exception):
    """
    No commit is meant.

    Args:
        why: As the end of "Cannot fetch …:", with the remedy.
    """


@attrs.frozen
class Refs:
    """
    The branches, tags and others of a repository.

    Attributes:
        commits: By full name, and ``HEAD``; of a tag what it stands for.
    """

    commits: dict[str, str]

    @property
    def is_sha256(self) -> bool:
        """Whether its commits have 64 digits."""
        return any(len(commit) == _SHA256_DIGITS for commit in self.commits.values())

    def find(self, ref: str) -> str:
        """
        Return the commit of a ref; "" if it may be one that no ref is at.

        Raises:
            UnknownRefError: If there is no such ref.
        """
        if _WHOLE.fullmatch(ref.lower()):
            return ref.lower()
        found = {
            self.commits[name]: name
            for name in (_HEADS + ref, _TAGS + ref)
            if name in self.commits
        }
        if ref in self.commits:
            return self.commits[ref]
        if len(found) > 1:
            raise UnknownRefError(
                f"{ref} is a branch and a tag, of different commits. Name "
                f"{_HEADS}{ref} or {_TAGS}{ref}"
            )
        if found:
            return next(iter(found))
        if _PART.fullmatch(ref.lower()):
            return self._begins_with(ref.lower())
        raise UnknownRefError(self._unknown(ref))

    def _begins_with(self, digits: str) -> str:
        found = {c for c in self.commits.values() if c.startswith(digits)}
        # More than one may be a commit and others; git knows when it has all.
        return found.pop() if len(found) == 1 else ""

    def _unknown(self, ref: str) -> str:
        names = [_short(name) for name in self.commits if name != "HEAD"]
        names = [name for name in names if name.isprintable()]
        if not names:
            return "it is empty: it has no commit yet. Push one"
        if ref == "HEAD":
            return (
                f"it does not say which branch is its default. Name one with ref=…; "
                f"there is {_listed(names)}"
            )
        lower = {name.lower(): name for name in names}
        close = difflib.get_close_matches(ref.lower(), lower, _CLOSE_MAX)
        meant = (
            f"Did you mean {' or '.join(lower[name] for name in close)}?"
            if close
            else f"There is {_listed(names)}."
        )
        return f"it has no branch, tag or commit {ref!r}. {meant}".removesuffix(".")


def refs_of(listing: bytes) -> Refs:
    """Return what ``git ls-remote`` printed."""
    commits: dict[str, str] = {}
    for line in listing.decode("utf-8", "replace").split("\n"):
        found = _OBJECT.fullmatch(line)
        # A peeled one follows its tag.
        if found is not None:
            commits[found["name"].removesuffix(_PEELED)] = found["id"]
    return Refs(commits)


def is_whole(ref: str) -> bool:
    """Return whether a ref is a commit with all its digits."""
    return _WHOLE.fullmatch(ref.lower()) is not None


def _short(name: str) -> str:
    return name.removeprefix(_HEADS).removeprefix(_TAGS)


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMES_MAX
    end = f" and {more} more" if more > 0 else ""
    return ", ".join(names[:_NAMES_MAX]) + end
