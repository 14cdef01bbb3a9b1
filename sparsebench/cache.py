"""Where sparsebench keeps what it downloaded or measured once."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from sparsebench.errors import InputError

VARIABLE = "SPARSEBENCH_CACHE"


def cache_folder() -> Path:
    """Return $SPARSEBENCH_CACHE, or the user's cache folder for sparsebench; it need not exist yet."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else user_cache_path("sparsebench")


def write_whole(path: Path, text: str) -> None:
    """Write a file of the cache so that a reader finds the old text or the new one, never a part.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise InputError(
            f"cannot write {path}: {error.strerror}; name a folder with room, that can be written to, by ${VARIABLE}"
        ) from error
