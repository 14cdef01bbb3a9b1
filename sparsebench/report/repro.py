"""The command that measures one case again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def command(settings: Mapping[str, Any], problem: str, kernels: Sequence[str], threads: int, level: str) -> str:
    """Return a line for a shell; `settings` are those of ``run.json``, on which the case may depend too."""
    words = ["sparsebench", "run", "--problem", problem, "--kernels", ",".join(kernels), "--threads", str(threads)]
    words += ["--isa", level] if level else []
    words += ["--data", settings["data"]] if settings.get("data") else []
    words += ["--tune"] if settings.get("tune") else []
    return shlex.join(words)
