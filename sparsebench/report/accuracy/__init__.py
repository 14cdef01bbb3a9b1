"""Reports on studies of accuracy: tables, verdicts on the claims, and the chart of accuracy over speed-up."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import InputError
from sparsebench.report.output import emit

if TYPE_CHECKING:
    from typing import TextIO

    from sparsebench.accuracy.folder import AccuracyFolder

_TABLES = ("console", "markdown")
_FILES = ("html", "svg", "png")
FORMATS = (*_TABLES, *_FILES)


def require(form: str, output: Path | None) -> None:
    """Raise InputError if there is no such format, or it needs a file and has none."""
    if form not in FORMATS:
        raise InputError(f"--format '{form}' is not known; known: {', '.join(FORMATS)}")
    if form in _FILES and output is None:
        raise InputError(f"--format {form} needs --output {'FILE.html' if form == 'html' else 'FOLDER'}")


def deliver(folder: AccuracyFolder, form: str, output: Path | None) -> None:
    """Write a study in a format to stdout or to a file; charts as svg or png into a folder, or one into a file.

    Raises
    ------
    InputError
        If nothing was trained yet, or something cannot be written.
    UnavailableError
        If a chart is to be drawn and matplotlib is not installed.
    """
    require(form, output)
    if not folder.results():
        raise InputError(f"the study at '{folder.path}' has no finished training yet")
    if form in _TABLES:
        emit(partial(_write_tables, folder, form), output)
        return
    assert output is not None
    if form == "html":
        from sparsebench.report.accuracy.page import page

        emit(partial(_write, page(folder)), output)
        return
    from sparsebench.report.accuracy.chart import chart, looks
    from sparsebench.report.figures import save_charts

    made = chart(folder.results(), folder.timings())
    if made is None:
        raise InputError(f"the study at '{folder.path}' has no times: it was made with --no-time, or is not finished")
    save_charts([made], looks(made), form, output)


def _write_tables(folder: AccuracyFolder, form: str, stream: TextIO) -> None:
    from sparsebench.report import tables_renderer
    from sparsebench.report.accuracy.tables import make_tables

    tables_renderer(form)(make_tables(folder.results(), folder.timings(), folder.warnings()), stream)


def _write(text: str, stream: TextIO) -> None:
    stream.write(text)
