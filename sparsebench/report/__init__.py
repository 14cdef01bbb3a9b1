"""Reports on finished runs: one renderer per file; nothing here measures.

A renderer is a module of this package with a function ``write(frame, stream, *, metric, by)`` (see `Write`) and a line
in `FORMATS`. Its module is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TextIO

from sparsebench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

# Format, and the module of this package that renders it.
FORMATS = {"console": "console", "csv": "csv", "markdown": "markdown"}


class Write(Protocol):
    """Renders a frame of `sparsebench.results.COLUMNS` (and perhaps ``run``) to a text stream."""

    def __call__(self, frame: pd.DataFrame, stream: TextIO, *, metric: str = ..., by: Sequence[str] = ...) -> None:
        """Write the report; `metric` is a key of `metrics.METRICS`, `by` are columns to aggregate over."""


def renderer(name: str) -> Write:
    """Return the function that writes a format.

    Raises
    ------
    InputError
        If there is no such format.
    """
    if name not in FORMATS:
        raise InputError(f"--format '{name}' is not known; known: {', '.join(FORMATS)}")
    write: Write = import_module(f"{__name__}.{FORMATS[name]}").write
    return write
