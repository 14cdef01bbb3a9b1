"""Checked thresholds as text: one renderer per file; nothing here judges.

A renderer is a module of this package with a function ``write(checked, stream)`` and a line in `FORMATS`. Its module is
imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TextIO

from sparsebench.errors import InputError

if TYPE_CHECKING:
    from sparsebench.report.verdicts.lines import Checked

# Each is rendered by the module of its name.
FORMATS = ("console", "markdown", "junit", "github", "json")


class Write(Protocol):
    """Renders what was checked to a text stream."""

    def __call__(self, checked: Checked, stream: TextIO) -> None:
        """Write all of it."""


def renderer(name: str) -> Write:
    """Return the function that writes a format.

    Raises
    ------
    InputError
        If there is no such format.
    """
    if name not in FORMATS:
        raise InputError(f"--format '{name}' is not known; known: {', '.join(FORMATS)}")
    write: Write = import_module(f"{__name__}.{name}").write
    return write
