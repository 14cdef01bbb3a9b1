"""What sparsity buys on this CPU: sparse kernels beside Intel MKL, SciPy and NumPy, honestly timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

__version__ = "0.1.0"


def load(*runs: str | PathLike[str], where: str | None = None, samples: bool = False) -> pd.DataFrame:
    """Return the cases of one or more runs as a frame, for notebooks.

    Parameters
    ----------
    runs
        Folders that ``sparsebench run`` has made.
    where
        An expression over the columns that chooses cases, such as ``"N >= 16 and status == 'ok'"``.
    samples
        Whether a last column ``samples_s`` holds each case's raw samples: seconds per call, one a round; samples of
        cases with the same ``group`` were taken in the same rounds.

    Returns
    -------
    pandas.DataFrame
        A row a case with the columns of ``results.csv``, times in seconds; of several runs a first column ``run``.

    Raises
    ------
    sparsebench.errors.InputError
        If a folder is no run, none has a finished case, or `where` is no condition or holds for none.
    """
    from pathlib import Path

    from sparsebench.report.loaded import load as load_folders
    from sparsebench.run_folder import RunFolder

    loaded = load_folders([RunFolder.open(Path(run)) for run in runs], where)
    frame = loaded.frame.reset_index(drop=True)
    if samples:
        frame["samples_s"] = [result.samples_s for result in loaded.results]
    return frame
