"""Checked thresholds as text: one renderer per file; nothing here judges.

A renderer is a module of this package with a function ``write(checked, stream)`` and a line in `FORMATS`. Its module is
imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TextIO

from sparsebench.report import find_writer

if TYPE_CHECKING:
    from sparsebench.report.verdicts.lines import Checked

# Each is rendered by the module of its name.
FORMATS = {name: name for name in ("console", "markdown", "junit", "github", "json")}


class Write(Protocol):
    """Renders what was checked to a text stream."""

    def __call__(self, checked: Checked, stream: TextIO) -> None:
        """Write all of it."""


def renderer(name: str) -> Write:
    """Return the function that writes a format; raises as `sparsebench.report.find_writer` does."""
    write: Write = find_writer(__name__, FORMATS, name)
    return write
