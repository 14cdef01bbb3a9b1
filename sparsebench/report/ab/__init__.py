"""Compared versions as text: one renderer per file; nothing here measures.

A renderer is a module of this package with a function ``write(comparison, stream, *, everything)`` and an entry in
`FORMATS`. Its module is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TextIO

from sparsebench.report import find_writer

if TYPE_CHECKING:
    from sparsebench.report.ab.cases import Comparison

# Each is rendered by the module of its name.
FORMATS = {name: name for name in ("console", "markdown", "json")}


class Write(Protocol):
    """Renders a comparison to a text stream."""

    def __call__(self, comparison: Comparison, stream: TextIO, *, everything: bool) -> None:
        """Write it; `everything` lists cases that are the same, too."""


def renderer(name: str) -> Write:
    """Return the function that writes a format.

    Raises
    ------
    InputError
        If there is no such format.
    """
    write: Write = find_writer(__name__, FORMATS, name)
    return write
