"""Statistics of two versions timed in turn: pure functions, which drop no sample.

What differs between two processes of one program - where its memory lies, above all - differs between the versions too,
and is in none of the samples of one pair of processes. So pairs of processes are what is counted: each gives one
number, the median of its log-ratios, and the interval is Student's over these numbers. It holds the variance between
processes and within them (Kalibera & Jones, Rigorous benchmarking in reasonable time, ISMM 2013, section 6). A
bootstrap over so few would be too narrow: resamples of n values have sqrt(1 - 1/n) of their spread, and the tails of a
normal, not of Student's distribution (Cameron, Gelbach & Miller, Review of Economics and Statistics 90(3), 2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Verdict = Literal["slower", "faster", "same", "undecided"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
# With fewer pairs of processes nothing is known of the differences between them.
MIN_PAIRS = 2


class Change(NamedTuple):
    """Head's time over base's, as log-ratios; the limits and `spread` are None where too few pairs claim none.

    `spread` is the standard deviation between pairs of processes.
    """

    low: float | None
    estimate: float
    high: float | None
    spread: float | None
    pairs: int


@dataclass(frozen=True, slots=True)
class Criteria:
    """When versions are called different.

    Attributes
    ----------
    threshold
        Ratio of times, less 1, up to which a difference does not matter.
    floor_s
        Seconds per call up to which it does not matter either.
    alarms
        Share of false ones among all cases called faster or slower, at most, on average.
    confidence
        Of intervals; a case is "same" with error probability 1 - `confidence`.
    """

    threshold: float = 0.03
    floor_s: float = 20e-9
    alarms: float = 0.05
    confidence: float = 0.95


def pair_log_ratio(order: str, samples_s: ArrayLike) -> float:
    """Return the median over adjacent samples of log(head / base), for one pair of processes.

    Parameters
    ----------
    order
        "A" (base) or "B" (head) for each sample; each of "AB" and "BA" makes one log-ratio.
    samples_s
        Seconds per call [n], in time order; n is even.

    Raises
    ------
    ValueError
        If samples are not finite and positive, or do not pair up.
    """
    values = np.asarray(samples_s, dtype=np.float64)
    if values.size == 0 or values.size != len(order) or values.size % 2:
        raise ValueError(f"{values.size} samples in the order '{order}' do not pair up")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError("samples must be finite and positive")
    pairs = {order[i : i + 2] for i in range(0, len(order), 2)}
    if not pairs <= {"AB", "BA"}:
        raise ValueError(f"order '{order}' has pairs that are neither AB nor BA")
    first, second = np.log(values).reshape(-1, 2).T
    turned = np.array([1.0 if order[i] == "A" else -1.0 for i in range(0, len(order), 2)])
    return float(np.median((second - first) * turned))


def change(log_ratios: ArrayLike, confidence: float = 0.95) -> Change:
    """Return the mean of log-ratios [pairs of processes] with Student's interval."""
    values = np.asarray(log_ratios, dtype=np.float64)
    n, mean = values.size, float(values.mean())
    if n < MIN_PAIRS:
        return Change(None, mean, None, None, n)
    spread = float(values.std(ddof=1))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * spread / math.sqrt(n)
    return Change(mean - reach, mean, mean + reach, spread, n)


def p_different(found: Change, threshold: float) -> float:
    """Return the two-sided p-value of "the ratio is at most 1 + threshold, and at least 1 / (1 + threshold)"."""
    beyond = abs(found.estimate) - math.log1p(threshold)
    if found.spread is None or beyond <= 0:
        return 1.0
    if found.spread == 0:
        return 0.0
    return min(1.0, 2 * float(stats.t.sf(beyond * math.sqrt(found.pairs) / found.spread, found.pairs - 1)))


def is_same(found: Change, criteria: Criteria) -> bool:
    """Whether the ratio lies within the threshold on both sides: two one-sided tests.

    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15(6), 1987.
    """
    if found.spread is None:
        return False
    reach = float(stats.t.ppf(criteria.confidence, found.pairs - 1)) * found.spread / math.sqrt(found.pairs)
    return abs(found.estimate) + reach < math.log1p(criteria.threshold)


def verdicts(found: Sequence[Change], base_s: Sequence[float], criteria: Criteria) -> list[Verdict]:
    """Judge all cases of one comparison together.

    A case is slower or faster if its p-value passes Benjamini and Hochberg's procedure (Journal of the Royal
    Statistical Society B 57(1), 1995) over all cases, and the difference is more than `Criteria.floor_s`; "same" if it
    is within the threshold with confidence, or surely too small a time to matter; else undecided.

    Parameters
    ----------
    base_s
        Base's seconds per call of each case.
    """
    if not found:
        return []
    adjusted: NDArray[np.float64] = stats.false_discovery_control([p_different(c, criteria.threshold) for c in found])
    return [_verdict(c, p, s, criteria) for c, p, s in zip(found, adjusted, base_s, strict=True)]


def _verdict(found: Change, p: float, base_s: float, criteria: Criteria) -> Verdict:
    if is_same(found, criteria) or _is_tiny(found, base_s, criteria):
        return "same"
    if p <= criteria.alarms and abs(math.expm1(found.estimate)) * base_s > criteria.floor_s:
        return "slower" if found.estimate > 0 else "faster"
    return "undecided"


def _is_tiny(found: Change, base_s: float, criteria: Criteria) -> bool:
    if found.low is None or found.high is None:
        return False
    return max(abs(math.expm1(found.low)), abs(math.expm1(found.high))) * base_s <= criteria.floor_s
