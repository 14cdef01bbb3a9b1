"""Which lane group should own each input of a set, so that the owned magnitude is largest.

Both functions take one set's score, float64 [S, K], finite and not negative: the magnitude that input k keeps if group
s owns it. Both return the owners, int32 [K] in 0 .. S - 1, of the largest possible total score.
"""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

# Up to 4! orders it is faster to try them all, for every partition at once, than to call a solver for each partition.
_TRY_ALL = 4

# Rounding in prices must not look like a gain: differences below this share of the largest score are ties.
_TIE = 1e-10

# Schedule of the price search, in standard deviations of the score; chosen by trial on 2048 x 2048 Gaussian, sparse,
# row- and column-scaled and rank-one weights, where it leaves 5 to 50 moves in a set of 20.
_TEMPERATURES = tuple(3.0**-i for i in range(8))
_NEWTON_STEPS = 3
_DAMPING = 1e-3
_LONGEST_STEP = 4.0

# Inputs that may be shared out wrongly, over all groups, before the temperature falls.
_SETTLED = 1.0


def partitioned_owners(score: NDArray[np.float64]) -> NDArray[np.int32]:
    """Give each group exactly one of every S consecutive inputs, and at most one of the last K mod S."""
    # A third of a second, which a report need not wait for.
    from scipy.optimize import linear_sum_assignment

    overlay, inputs = score.shape
    full = inputs - inputs % overlay
    owner = np.empty(inputs, np.int32)
    if overlay <= _TRY_ALL:
        orders = np.array(list(permutations(range(overlay))), np.int32)
        parts = score[:, :full].reshape(overlay, -1, overlay)
        total = sum(parts[orders[:, place], :, place] for place in range(overlay))
        owner[:full] = orders[np.argmax(total, axis=0)].reshape(-1)
        starts = range(full, inputs, overlay)
    else:
        starts = range(0, inputs, overlay)
    for start in starts:
        groups, places = linear_sum_assignment(score[:, start : start + overlay], maximize=True)
        owner[start + places] = groups
    return owner


def balanced_owners(score: NDArray[np.float64]) -> NDArray[np.int32]:
    """Give each group K/S inputs, rounded down or up: a transportation problem, solved exactly.

    Every group charges a price for an input, and each input goes to the group where score minus price is best. At the
    right prices the groups are almost full; the few surplus inputs then move along cheapest paths from overfull to
    underfull groups, which keeps the total optimal for its counts (successive shortest paths: Ahuja, Magnanti and
    Orlin 1993, "Network Flows", section 9.7). S is small, so a path over S groups costs little whatever K is.
    """
    overlay, inputs = score.shape
    if inputs <= overlay:
        return partitioned_owners(score)
    value = np.ascontiguousarray(score.T)
    tie = _TIE * float(value.max()) or 1.0
    price = _prices(score)
    owner = (value - price).argmax(axis=1)
    # The K mod S places beyond K // S go where inputs are dearest.
    roomy = np.zeros(overlay, np.bool_)
    roomy[np.argsort(-price, kind="stable")[: inputs % overlay]] = True

    loss = value[np.arange(inputs), owner, None] - value
    cheapest = np.empty((overlay, overlay))
    stale = list(range(overlay))
    while True:
        excess = np.bincount(owner, minlength=overlay) - inputs // overlay - roomy
        if not excess.any():
            return np.asarray(owner, np.int32)
        for group in stale:
            cheapest[group] = loss[owner == group].min(axis=0, initial=np.inf)
        # A surplus also moves for nothing to a group that gives up its place beyond K // S in return.
        swap = ~roomy[:, None] & roomy
        path = _cheapest_path(np.where(swap, np.minimum(cheapest, 0), cheapest) + tie, excess)
        hops = list(pairwise(path))
        moves = {
            (here, there): np.flatnonzero((owner == here) & (loss[:, there] <= cheapest[here, there] + tie))
            for here, there in hops
            if not (swap[here, there] and cheapest[here, there] >= 0)
        }
        # Many inputs may tie, for instance where weights are zero: they move together.
        limits = [len(moves[hop]) if hop in moves else 1 for hop in hops]
        amount = min(excess[path[0]], -excess[path[-1]], *limits)
        for here, there in hops:
            if (here, there) in moves:
                moved = moves[here, there][:amount]
                owner[moved] = there
                loss[moved] = value[moved, there, None] - value[moved]
            else:
                roomy[here], roomy[there] = True, False
        stale = path


def _prices(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Search for prices [S] at which every group attracts about K/S of the inputs in score [S, K].

    Newton's method on the dual problem, in which each input is shared among the groups by a softmax of score minus
    price; its temperature falls step by step (annealing for the assignment problem: Kosowsky and Yuille 1994, Neural
    Networks 7, 477). The start is the price that K/S inputs would pay to one group alone. `balanced_owners` is exact
    from any prices; good ones leave it little to move.
    """
    overlay, inputs = score.shape
    quota = inputs / overlay
    scale = float(score.std()) or 1.0
    scaled = (score / scale).astype(np.float32)
    price = np.quantile(scaled, 1 - 1 / overlay, axis=1).astype(np.float64)
    for temperature in _TEMPERATURES:
        for _ in range(_NEWTON_STEPS):
            share = scaled - price.astype(np.float32)[:, None]
            share -= share.max(axis=0)
            share /= np.float32(temperature)
            np.exp(share, out=share)
            share /= share.sum(axis=0)
            count = share.sum(axis=1, dtype=np.float64)
            if np.abs(count - quota).sum() < _SETTLED:
                break
            # The curvature is singular, because all prices may rise together, and the added diagonal makes it regular.
            curvature = np.diag(count + _DAMPING * quota) - share @ share.T
            step = temperature * np.linalg.solve(curvature, count - quota)
            longest = _LONGEST_STEP * temperature
            price += step * (longest / max(longest, float(np.abs(step).max())))
    return np.asarray(price * scale)


def _cheapest_path(cost: NDArray[np.float64], excess: NDArray[np.int64]) -> list[int]:
    """Return the groups on a cheapest path from any overfull to any underfull group (Bellman-Ford).

    cost [S, S] is what moving one input from a group to another loses; it has no cycle of negative cost.
    """
    distance = np.where(excess > 0, 0.0, np.inf)
    before = np.full(len(excess), -1)
    while True:
        through = distance[:, None] + cost
        nearest = through.argmin(axis=0)
        found = through.min(axis=0)
        shorter = found < distance
        if not shorter.any():
            break
        distance = np.where(shorter, found, distance)
        before = np.where(shorter, nearest, before)
    path = [int(np.where(excess < 0, distance, np.inf).argmin())]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return path[::-1]
