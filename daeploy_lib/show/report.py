"""The evidence about a service's shadows, to print, to look at and to judge."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from tabulate import tabulate

from daeploy_lib.evidence.gate import Gate
from daeploy_lib.evidence.summary import ShadowSummary, Summary
from daeploy_lib.evidence.verdict import Verdict
from daeploy_lib.show import report_table
from daeploy_lib.show.notebook_table import snippet
from daeploy_lib.show.page.document import document
from daeploy_lib.show.page.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@attrs.frozen(repr=False)
class Report(Summary):
    """
    How the answers of each shadow compare with main's.

    It is a value: what comes later does not change it. ``print`` shows one table with
    one line for each shadow; a notebook shows it as HTML. Columns: SHADOW, EXCHANGES,
    AGREEMENT (with its always-valid interval), ERRORS MAIN / SHADOW, P50 RATIO and P99
    RATIO (the shadow's time to the end of an answer over main's), DROPPED, DIFFERS IN
    (fields, and the share of the compared exchanges they differ in).
    ``report["2.0.0"]`` is one shadow, with all of its numbers. ``to_html`` writes
    all of them as a page, ``plot`` draws the most telling ones.

    Example:
        >>> print(Report("hello", "1.0.0", None, ()))
        hello: main is 1.0.0
        There is no shadow: deploy another version.
    """

    def judge(self, gate: Gate, version: str | None = None) -> Verdict:
        """
        Return what a gate says of a shadow, by this report.

        Args:
            gate: What it must show.
            version: Which shadow; it may be left out if there is one only.

        Raises:
            LookupError: If it is no shadow, or none was named and there are several.
        """
        return self._one(version).judge(gate)

    def plot(self, version: str | None = None, field: str | None = None) -> "Figure":
        """
        Return a figure: agreement over time, latencies of both, and one field.

        Labels show as a confusion matrix, numbers as a histogram of shadow minus
        main. The figure is not registered with ``pyplot``: a notebook shows it once,
        where it is the value of a cell; ``savefig`` writes it.

        Args:
            version: Which shadow; it may be left out if there is one only.
            field: Path of numbers or labels, such as ``$.score``; by default the one
                that differs most and is no noise.

        Raises:
            LookupError: If it is no shadow, none was named and there are several, or
                no numbers or labels of the field were compared.
            ImportError: If Matplotlib is missing, which the extra ``plot`` installs.

        Example:
            >>> from daeploy_lib.evidence.summary import summarise
            >>> from daeploy_lib.evidence import Totals
            >>> shadow = summarise("2.0.0", Totals())
            >>> len(Report("hello", "1.0.0", None, (shadow,)).plot().axes)
            3
        """
        shadow = self._one(version)
        try:
            # Not at the top: it is an extra, and takes a second to import.
            drawing = importlib.import_module("daeploy_lib.show.figure.drawing")
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] != "matplotlib":
                raise
            raise ImportError(
                "report.plot() needs Matplotlib, which is not installed: "
                "pip install 'daeploy-lib[plot]'.",
                name=error.name,
            ) from error
        figure: Figure = drawing.draw(self.name, shadow, field)
        return figure

    def _one(self, version: str | None) -> ShadowSummary:
        if version is not None:
            return self[version]
        if len(self.shadows) != 1:
            known = ", ".join(s.version for s in self.shadows) or "none"
            raise LookupError(f"Name one of the shadows of {self.name!r}: {known}.")
        return self.shadows[0]

    def to_html(
        self, path: str | os.PathLike[str], *, base_url: str | None = None
    ) -> Path:
        """
        Write a page with all of the evidence: one file that opens offline.

        It has no scripts and loads nothing; whatever the services answered is
        escaped, and cut where it is long. A file that is there is replaced at once
        or, if anything fails, left as it is.

        Args:
            path: Of the file; its directory exists.
            base_url: Of the service, for the curl commands of examples; by default
                ``http://localhost:8080/services/`` and the name.

        Returns:
            The path.

        Raises:
            OSError: If the file cannot be written.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Report("hello", "1.0.0", None, ()).to_html(f"{folder}/a.html").name
            'a.html'
        """
        where = Path(path)
        if base_url is None:
            base_url = f"http://localhost:8080/services/{self.name}"
        write_whole(where, document(self, base_url))
        return where

    def __str__(self) -> str:
        rows = [report_table.row(shadow) for shadow in self.shadows]
        table = ""
        if rows:
            columns = report_table.COLUMNS
            table = tabulate(rows, headers=columns, disable_numparse=True)
        lines = [report_table.title(self), table, *report_table.notes(self)]
        return "\n".join(line for line in lines if line)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return snippet(self)
