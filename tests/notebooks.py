"""Notebooks that a real kernel runs, and what a person sees of them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode


@contextmanager
def kernel(notebook: NotebookNode, folder: Path) -> Iterator[NotebookClient]:
    """Give a client with a running kernel, whose folder is the given one."""
    client = NotebookClient(
        notebook,
        timeout=240,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel():
        yield client


def of_cells(*codes: str) -> NotebookNode:
    """Return a notebook with some cells of code."""
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": []}
    empty["execution_count"] = None
    cells = [{**empty, "id": f"c{i}", "source": code} for i, code in enumerate(codes)]
    about = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return made_of(json.dumps({**about, "cells": cells}))


def made_of(text: str) -> NotebookNode:
    """Return a notebook from its JSON, once that is known to be valid."""
    notebook: NotebookNode = nbformat.reads(text, 4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


def content(output: NotebookNode, kind: str = "text/plain") -> str:
    """Return one representation of an output."""
    return str(output["data"].get(kind, ""))


class Ran:
    """A notebook that has run, by what its cells say."""

    def __init__(self, notebook: NotebookNode) -> None:
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    def outputs(self, words: str) -> list[Any]:
        """Return the outputs of the only cell with these words."""
        [cell] = [cell for cell in self.cells if words in cell.source]
        return list(cell.outputs)

    def streams(self) -> set[str]:
        """Return where it wrote to."""
        outputs = [output for cell in self.cells for output in cell.outputs]
        return {o.name for o in outputs if o.output_type == "stream"}

    def result(self, words: str, kind: str = "text/plain") -> str:
        """Return what that cell's last line gave."""
        output = self.outputs(words)[-1]
        assert output.output_type == "execute_result"
        return content(output, kind)
