"""Results as Parquet, with the columns and types of `sparsebench.load`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

INSTALL = "pip install 'sparsebench[parquet]'"


def save(loaded: Loaded, suffix: str, output: Path, names: Sequence[str] = ()) -> list[Path]:
    """Write a row for each case, whole or not at all; `suffix` and `names` are for other formats.

    Raises
    ------
    InputError
        If the file cannot be written.
    UnavailableError
        If pyarrow is not installed; names the command that installs it.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UnavailableError(f"--format parquet needs pyarrow: {INSTALL}") from None
    try:
        loaded.frame.to_parquet(output, engine="pyarrow", index=False)
    except OSError as error:
        raise InputError(f"cannot write --output {output}: {error.strerror or error}") from error
    return [output]
