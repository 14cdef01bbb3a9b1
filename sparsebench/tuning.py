"""Times the few best choices of a lane-group plan and remembers the winner, per machine.

Nothing here happens unless $SPARSEBENCH_TUNE is 1 (``sparsebench run --tune``): otherwise a plan is what the cost model
of `sparsebench.tiling` says, the same today and tomorrow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.bench.machine import key_hash, machine_key
from sparsebench.cache import cache_folder, write_whole
from sparsebench.tiling import FREE, Choice, Setting, alternatives

if TYPE_CHECKING:
    from sparsebench.kernel import Plan

VARIABLE = "SPARSEBENCH_TUNE"


def wanted() -> bool:
    """Whether plans are to be tuned in this process."""
    return os.environ.get(VARIABLE) == "1"


@cache
def _file() -> Path:
    return cache_folder() / f"tuning-{key_hash(machine_key())}.json"


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the winners in a file; none where it is absent, torn or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remembered() -> dict[str, dict[str, Any]]:
    """Return this machine's winners: for each name, the fields of a `Choice`."""
    return _read(_file())


def clear() -> int:
    """Forget the winners of every machine that this cache folder has seen; return how many there were."""
    count = 0
    for path in cache_folder().glob("tuning-*.json"):
        count += len(_read(path))
        path.unlink()
    return count


def name_of(setting: Setting, level: str, slots: int) -> str:
    """Return what a winner is remembered by."""
    return (
        f"{level}, {setting.threads} threads, {setting.lanes} lanes, {setting.M}x{setting.K}x{setting.N},"
        f" {setting.samples} samples, {slots} slots, {setting.layout}"
    )


def best_choice(
    setting: Setting,
    first: Choice,
    name: str,
    build: Callable[[Choice], Plan],
    fastest: Callable[[list[Plan]], int],
) -> Choice:
    """Return the remembered winner, or search from the cost model's choice and remember what was found.

    `build` makes a plan, `fastest` times several and says which took least. The search varies one field at a time and
    keeps the best so far: at most a dozen plans are timed.
    """
    known = remembered()
    if name in known:
        return Choice(**known[name])
    best = first
    for variable in FREE:
        others = alternatives(setting, best, variable)
        if others:
            tried = [best, *others]
            best = tried[fastest([build(choice) for choice in tried])]
    write_whole(_file(), json.dumps(remembered() | {name: asdict(best)}, indent=1))
    return best
