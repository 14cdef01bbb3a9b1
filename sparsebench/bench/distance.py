"""How far apart the CPUs measured on are. A hypervisor moves them, and then threads wait longer for each other.

On a virtual machine of two CPUs on an AMD EPYC (Zen 5), a cache line goes to the other CPU and back in 45 to 72 ns, or
in 375 ns where the hypervisor has put the two on different dies; either lasts for seconds to hours. Between the two,
kernels on two threads differ by factors of 1.3 to 3, and those on one by nothing.
"""

from __future__ import annotations

import math

from sparsebench.bench.machine import affinity

# Round trips that differ by this factor are of another placement of the CPUs: between what varies (1.6) and what is
# another die (5).
MOVED = 2.0


def round_trip_s(threads: int) -> float | None:
    """Return how long a cache line takes from the first CPU of this process to the farthest of `threads` and back.

    Returns
    -------
    float or None
        Seconds; None for one thread, where this process has fewer CPUs, where the system cannot hold a thread to a
        CPU, and where a CPU does not come to answer within milliseconds.
    """
    cpus = sorted(affinity())
    if not 1 < threads <= len(cpus):
        return None

    from sparsebench._kernels._round_trip import seconds

    found = max(seconds(cpus[0], cpu) for cpu in cpus[1:threads])
    return None if math.isnan(found) else found


def differ(one: float | None, other: float | None) -> bool:
    """Whether two round trips are of different placements of the CPUs; not where one is not known."""
    return one is not None and other is not None and max(one, other) > MOVED * min(one, other)
