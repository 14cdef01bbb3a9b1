"""Where a report goes: stdout, or a file that is written only once all of it is rendered."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from sparsebench.errors import InputError


def emit(write: Callable[[TextIO], None], output: Path | None) -> None:
    """Have `write` write to stdout, or to a file, which an error leaves as it is.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if output is None:
        write(sys.stdout)
        return
    text = io.StringIO()
    write(text)
    try:
        output.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write --output {output}: {error.strerror}") from error
