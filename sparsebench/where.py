"""``--where``: an expression over columns, for problems before a run and for cases after it."""

from __future__ import annotations

import pandas as pd

from sparsebench.errors import InputError


def chosen(frame: pd.DataFrame, expression: str) -> pd.Series[bool]:
    """Return for each row whether an expression such as ``N >= 16 and pattern == "block"`` holds.

    Raises
    ------
    InputError
        If it cannot be evaluated or is no condition; the columns are listed.
    """
    columns = f"columns: {', '.join(frame.columns)}"
    try:
        truth = frame.eval(expression, engine="python")
    except Exception as error:  # pandas raises whatever the parser and the operands raise
        raise InputError(f"--where '{expression}': {error}; {columns}") from None
    # Not DataFrame.query: given numbers instead of truths, it takes them for row labels.
    if not isinstance(truth, pd.Series) or not pd.api.types.is_bool_dtype(truth.dtype):
        raise InputError(
            f"--where '{expression}' is not a condition, such as \"N >= 16\" (leave it out for no condition); {columns}"
        )
    # A comparison with a value that is absent is neither true nor false: it does not hold.
    return truth.fillna(False).astype(bool)
