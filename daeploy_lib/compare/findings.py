"""What a comparison has found so far, within bounds."""

from daeploy_lib.compare.comparison import (
    MATCH,
    MAX_COUNTED,
    Agreement,
    Comparison,
    FieldPair,
)
from daeploy_lib.compare.difference import Difference, Kind, shape_of
from daeploy_lib.compare.json_text import ABSENT
from daeploy_lib.compare.path_syntax import Generaliser, Link, show_path
from daeploy_lib.compare.showing import Show

# Of one generalised path and kind; the rest only count.
_MAX_ALIKE = 5


class Findings:
    """
    Differences of one pair of answers.

    Args:
        show: How values are shown.
        max_differences: How many are kept.
    """

    __slots__ = ("_alike", "_general", "_kept", "_limit", "count", "show")

    def __init__(self, show: Show, max_differences: int) -> None:
        self.show = show
        self.count = 0
        self._limit = max_differences
        self._kept: list[Difference] = []
        self._alike: dict[tuple[str, Kind], int] = {}
        self._general = Generaliser()

    @property
    def is_full(self) -> bool:
        """Whether no more is counted."""
        return self.count >= MAX_COUNTED

    def add(self, path: Link, kind: Kind, main: object, shadow: object) -> None:
        """Add a difference of two values of JSON, either of which may be absent."""
        show = self.show
        shown = show.path(path) if show.secrets else path
        if self._is_kept(self._general.general(shown), kind):
            texts = [
                None if value is ABSENT else show.value(value, path)
                for value in (main, shadow)
            ]
            self._kept.append(Difference(show_path(shown), kind, *texts))

    def add_shown(
        self, path: str, kind: Kind, main: str | None, shadow: str | None
    ) -> None:
        """Add a difference whose values are text that may be shown."""
        if self._is_kept(path, kind):
            self._kept.append(Difference(path, kind, main, shadow))

    def _is_kept(self, general: str, kind: Kind) -> bool:
        self.count += 1
        entry = (general, kind)
        alike = self._alike.get(entry, 0)
        self._alike[entry] = alike + 1
        return alike < _MAX_ALIKE and len(self._kept) < self._limit

    def result(self, fields: tuple[FieldPair, ...] = ()) -> Comparison:
        """Return what was found."""
        if not self.count:
            return Comparison(Agreement.match, fields=fields) if fields else MATCH
        return Comparison(
            Agreement.differ,
            differences=tuple(self._kept),
            count=self.count,
            shape=shape_of(self._alike),
            fields=fields,
        )
