"""The figure of one shadow: agreement, latencies and one field."""

import io

from matplotlib.figure import Figure

from daeploy_lib.evidence.summary import ShadowSummary
from daeploy_lib.show.figure import panels
from daeploy_lib.show.printable import printable
from daeploy_lib.show.ranking import differing_labels, differing_numbers, ranked

# Inches.
_SIZE = (13, 4.0)
_NAMED = 20


class ReportFigure(Figure):
    """A figure that notebooks show though no backend of theirs knows it."""

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.savefig(image, format="png")
        return image.getvalue()


def draw(name: str, shadow: ShadowSummary, field: str | None) -> ReportFigure:
    """
    Return the figure of a shadow.

    Args:
        name: Of the service.
        shadow: What is drawn.
        field: Path of numbers or labels; None for the one that differs most.

    Raises:
        LookupError: If there are no numbers or labels of that path.
    """
    chosen = _chosen(shadow, field)
    figure = ReportFigure(figsize=_SIZE, layout="constrained")
    figure.suptitle(
        printable(f"{name}: {shadow.version} beside main"),
        x=0.01,
        ha="left",
        parse_math=False,
    )
    one, two, three = figure.subplots(1, 3, gridspec_kw={"wspace": 0.08})
    panels.agreement(one, shadow)
    panels.latencies(two, shadow)
    if chosen is None:
        panels.say(three, "No field holds numbers or labels.")
    elif chosen in shadow.labels:
        panels.confusion(three, chosen, shadow.labels[chosen])
    else:
        panels.differences(three, chosen, shadow.numbers[chosen])
    return figure


def _chosen(shadow: ShadowSummary, field: str | None) -> str | None:
    known = [*shadow.labels, *shadow.numbers]
    if field is None:
        differing = [*differing_labels(shadow), *differing_numbers(shadow)]
        return next(iter(ranked(shadow, differing) or known), None)
    if field in known:
        return field
    names = [printable(path) for path in sorted(known)[:_NAMED]]
    if len(known) > _NAMED:
        names.append(f"{len(known) - _NAMED} more")
    raise LookupError(
        f"No numbers or labels of {field!r} were compared for {shadow.version!r}; "
        f"there are: {', '.join(names) or 'none'}."
    )
