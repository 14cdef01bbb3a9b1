"""What a worker process shares with its parent: two pipes for lines of JSON, a page that says what is in progress.

The page outlives the worker, so that the parent can tell what a crash or a hang belongs to; it also adds up where the
worker's time goes. Nothing heavy is imported here: a worker's environment is set before it loads any library.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import signal
import struct
import sys
from time import monotonic
from typing import IO, Any

# Time of the last change, then what is in progress: "stage kernel", zero-padded.
_PAGE = struct.Struct("<d248s")
PAGE_BYTES = _PAGE.size
_PR_SET_PDEATHSIG = 1


def read_page(page: mmap.mmap) -> tuple[float, str, str]:
    """Return when the worker last made progress (monotonic seconds), its stage and the kernel in progress."""
    when, text = _PAGE.unpack_from(page)
    stage, _, kernel = text.rstrip(b"\0").decode(errors="replace").partition(" ")
    return when, stage, kernel


class Page:
    """The worker's side of the shared page.

    Attributes
    ----------
    seconds
        Time spent in each stage since it was last taken, up to the last change.
    """

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, PAGE_BYTES)
        self._stage = ""
        self._since = monotonic()
        self.seconds: dict[str, float] = {}

    def write(self, stage: str, kernel: str = "") -> None:
        """Say what is in progress."""
        now = monotonic()
        _PAGE.pack_into(self._map, 0, now, f"{stage} {kernel}".encode()[:248])
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def take_seconds(self) -> dict[str, float]:
        """Return what `seconds` holds, and begin anew."""
        taken, self.seconds = self.seconds, {}
        return taken


class Link:
    """Sends events to the parent and waits until it has taken them."""

    def __init__(self, receive: IO[str], send: IO[str]) -> None:
        self._receive = receive
        self._send = send

    def job(self) -> dict[str, Any]:
        """Return the job, which is the first line; exits the process if the parent has gone."""
        line = self._receive.readline()
        if not line.endswith("\n"):
            sys.exit(1)
        job: dict[str, Any] = json.loads(line)
        return job

    def send(self, event: dict[str, Any]) -> str:
        """Send one event and return the line that answers it; exits the process if the parent has gone."""
        try:
            self._send.write(json.dumps(event) + "\n")
            self._send.flush()
        except BrokenPipeError:
            sys.exit(1)
        answer = self._receive.readline()
        if not answer:
            sys.exit(1)
        return answer


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies: an orphan would disturb what comes next."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
