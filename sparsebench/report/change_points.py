"""Where a series of runs changed its level, by the library ruptures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

from sparsebench.errors import UnavailableError

INSTALL = "pip install 'sparsebench[history]'"
# With fewer values the scatter is not known well enough to tell a change from it.
FEWEST = 8
# In units of variance times log n. Of 300 simulated series of 8, 12 and 20 values that never changed, it marks 8, 4 and
# 0.3 % (normal; with heavy tails some 8 %), and Bayes's information criterion, at 2, some 25 %. A step of five standard
# deviations in the middle is found in 82, 96 and 100 %.
_PENALTY = 6.0
# Of normal differences: median absolute one to standard deviation, and from differences to single values.
_TO_SD = 1 / (0.6745 * math.sqrt(2))
# Changes in level that nobody asks about.
_LEAST = 0.01


def change_points(values: Sequence[float]) -> list[int]:
    """Return the indices of values [n], all positive, with which another level begins; none of fewer than `FEWEST`.

    Least squares with a penalty for each change (PELT: Killick, Fearnhead & Eckley, Journal of the American Statistical
    Association 107, 2012) on logarithms, each level being of two values or more. The variance is taken from differences
    of neighbours, which a few changes of level hardly touch.

    Raises
    ------
    UnavailableError
        If ruptures is not installed; names the command that installs it.
    """
    try:
        import numpy as np
        import ruptures
    except ImportError:
        raise UnavailableError(f"change points: unavailable, {INSTALL}") from None
    if len(values) < FEWEST:
        return []
    logs = [math.log(value) for value in values]
    sd = max(_TO_SD * statistics.median(abs(after - before) for before, after in pairwise(logs)), _LEAST / 2)
    search = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(np.array(logs).reshape(-1, 1))
    # The last is the end of the series.
    return [int(index) for index in search.predict(pen=_PENALTY * sd**2 * math.log(len(logs)))[:-1]]
