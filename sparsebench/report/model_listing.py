"""The listing of a model, in each of its formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console

from sparsebench.models.layer import Model
from sparsebench.models.zeros import Zeros
from sparsebench.report import model_data, tables_renderer
from sparsebench.report.model_tables import tables


def write(model: Model, zeros: Sequence[Zeros], stream: TextIO, *, form: str) -> None:
    """Write a model's layers as "console", "markdown", "csv" or "json"; names are short in a terminal only."""
    if form == "csv":
        model_data.write_csv(model, zeros, stream)
    elif form == "json":
        model_data.write_json(model, zeros, stream)
    else:
        width = Console(file=stream).width if form == "console" else None
        tables_renderer(form)(tables(model, zeros, width), stream)
