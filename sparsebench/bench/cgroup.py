"""What the control groups of this process allow it, and took from it: versions 2 and 1, all levels up to the root.

Both roots can be given, for tests. Sources: Linux, Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
SYS = Path("/sys")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _folders(proc: Path, sys: Path) -> Iterator[Path]:
    """Folders of the groups that limit CPU time; within a container the path from the host's root may not be there."""
    root = sys / "fs/cgroup"
    for line in _text(proc / "self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "cpu" if controllers else root
        below = Path(path.lstrip("/"))
        yield from (top / part for part in (below, *below.parents))
    yield from (root, root / "cpu")


def quota(proc: Path = PROC, sys: Path = SYS) -> float | None:
    """Return the CPUs that the tightest of the groups allows; None for no limit."""
    return min((limit for folder in _folders(proc, sys) if (limit := _limit(folder)) is not None), default=None)


def _limit(folder: Path) -> float | None:
    limit = _text(folder / "cpu.max").split()
    if len(limit) == 2 and limit[0].isdecimal():
        return int(limit[0]) / int(limit[1])
    allowed, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(allowed) / int(period) if allowed.isdecimal() and period.isdecimal() else None


def throttled_seconds(proc: Path = PROC, sys: Path = SYS) -> float | None:
    """Return for how long, so far, the most throttled of the groups was kept from running; None where not told."""
    found = [_throttled(folder) for folder in _folders(proc, sys)]
    return max((seconds for seconds in found if seconds is not None), default=None)


def _throttled(folder: Path) -> float | None:
    # "name value" lines; microseconds in version 2, nanoseconds in version 1.
    fields = dict(line.split() for line in _text(folder / "cpu.stat").splitlines() if len(line.split()) == 2)
    for name, unit in (("throttled_usec", 1e-6), ("throttled_time", 1e-9)):
        if fields.get(name, "").isdecimal():
            return int(fields[name]) * unit
    return None
