"""``--where``, and ``where`` of thresholds: an expression over columns, of problems to run and of cases."""

from __future__ import annotations

import pandas as pd

from sparsebench.errors import InputError


def chosen(frame: pd.DataFrame, expression: str, origin: str = "--where") -> pd.Series[bool]:
    """Return for each row whether an expression such as ``N >= 16 and pattern == "block"`` holds.

    `origin` is what messages call it.

    Raises
    ------
    InputError
        If it cannot be evaluated or is no condition; the columns are listed.
    """
    columns = f"columns: {', '.join(frame.columns)}"
    try:
        truth = frame.eval(expression, engine="python")
    except Exception as error:  # pandas raises whatever the parser and the operands raise
        raise InputError(f"{origin} '{expression}': {error}; {columns}") from None
    # Not DataFrame.query: given numbers instead of truths, it takes them for row labels.
    if not isinstance(truth, pd.Series) or not pd.api.types.is_bool_dtype(truth.dtype):
        raise InputError(
            f"{origin} '{expression}' is not a condition, such as \"N >= 16\" (leave it out for no condition);"
            f" {columns}"
        )
    # A comparison with a value that is absent is neither true nor false: it does not hold.
    return truth.fillna(False).astype(bool)
