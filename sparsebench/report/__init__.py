"""Reports on finished runs: one renderer per file; nothing here measures.

A renderer is a module of this package with a function ``write(frame, stream, *, metric, by)`` (see `Write`) and a line
in `FORMATS`; one that makes files has a function ``save`` (see `Save`) and a line in `FILES`. Its module is imported
when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from sparsebench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from sparsebench.report.cells import Table
    from sparsebench.report.loaded import Loaded

# Format, and the module of this package that renders it.
FORMATS = {
    "console": "console",
    "csv": "csv",
    "markdown": "markdown",
    "github-action-benchmark": "github_action_benchmark",
    "bencher": "bencher",
}
# The same of formats that are files, one or several.
FILES = {"html": "html", "parquet": "parquet", "png": "figures", "svg": "figures"}
CHART_FILES = tuple(name for name, module in FILES.items() if module == "figures")


class Write(Protocol):
    """Renders a frame of `sparsebench.results.COLUMNS` (and perhaps ``run``) to a text stream."""

    def __call__(self, frame: pd.DataFrame, stream: TextIO, *, metric: str = ..., by: Sequence[str] = ...) -> None:
        """Write the report; `metric` is a key of `metrics.METRICS`, `by` are columns to aggregate over."""


class WriteTables(Protocol):
    """Renders tables to a text stream."""

    def __call__(self, tables: Sequence[Table], stream: TextIO) -> None:
        """Write them one below the other."""


def tables_renderer(name: str) -> WriteTables:
    """Return the function that writes tables in "console" or "markdown"."""
    write: WriteTables = import_module(f"{__name__}.{FORMATS[name]}").write_tables
    return write


class Save(Protocol):
    """Writes chosen cases of runs to files."""

    def __call__(self, loaded: Loaded, suffix: str, output: Path, names: Sequence[str] = ...) -> list[Path]:
        """Write to `output`, a file or, for charts, a folder, and return what was written; `names` choose charts."""


def saver(name: str) -> Save:
    """Return the function that writes a format of `FILES`."""
    save: Save = import_module(f"{__name__}.{FILES[name]}").save
    return save


def find_writer(package: str, formats: Mapping[str, str], name: str, also: Iterable[str] = ()) -> Any:
    """Return the function ``write`` of the module of a package that renders a format; `also` are known elsewhere.

    Raises
    ------
    InputError
        If there is no such format.
    """
    if name not in formats:
        raise InputError(f"--format '{name}' is not known; known: {', '.join([*formats, *also])}")
    return import_module(f"{package}.{formats[name]}").write


def renderer(name: str) -> Write:
    """Return the function that writes a format; raises as `find_writer` does."""
    write: Write = find_writer(__name__, FORMATS, name, FILES)
    return write
