"""Hands arrays to another process through a memory file: the bytes are copied twice, but never written out as text.

Each side keeps its own copy, aligned and on huge pages as all operands are: shared memory would have small pages on
most systems, and a kernel that reads its X from there would be slower than one that does not.
"""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsebench.memory import ALIGNMENT, aligned_empty

Bytes = NDArray[np.uint8]


def _offsets(lengths: Sequence[int]) -> list[int]:
    """Return where each part begins, and the end of the last one; empty parts take a line, a file cannot be empty."""
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + max(1, -(-length // ALIGNMENT)) * ALIGNMENT)
    return offsets


def give(channel: socket.socket, parts: Sequence[Bytes]) -> list[int]:
    """Send parts through one memory file, and return their lengths, which the other side needs to `take` them."""
    lengths = [part.nbytes for part in parts]
    offsets = _offsets(lengths)
    fd = os.memfd_create("sparsebench")
    try:
        os.truncate(fd, offsets[-1])
        with mmap.mmap(fd, offsets[-1]) as shared:
            for part, offset in zip(parts, offsets, strict=False):
                shared[offset : offset + part.nbytes] = part.data
        socket.send_fds(channel, [b"."], [fd])
    finally:
        os.close(fd)
    return lengths


def take(channel: socket.socket, lengths: Sequence[int]) -> list[Bytes]:
    """Return aligned copies of the parts that the other side has given.

    Raises
    ------
    EOFError
        If the other side has gone.
    """
    offsets = _offsets(lengths)
    _, fds, _, _ = socket.recv_fds(channel, 1, 1)
    if not fds:
        raise EOFError("the other process has gone")
    try:
        with mmap.mmap(fds[0], offsets[-1], prot=mmap.PROT_READ) as shared:
            parts = []
            for length, offset in zip(lengths, offsets, strict=False):
                part: Bytes = aligned_empty(length, np.uint8)
                part[:] = np.frombuffer(shared[offset : offset + length], np.uint8)
                parts.append(part)
            return parts
    finally:
        os.close(fds[0])


def as_bytes(array: NDArray[np.float32]) -> Bytes:
    """Return the bytes of a C-ordered array, without copying."""
    return array.reshape(-1).view(np.uint8)
