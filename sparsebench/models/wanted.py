"""What is asked of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Wanted(NamedTuple):
    """Shapes of inputs by name, or one size for the first axis of all others; and the folder of ``data:`` addresses."""

    shapes: Mapping[str, tuple[int, ...]]
    batch: int | None
    data: Path | None
