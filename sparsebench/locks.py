"""Locks that end with the process that holds them, however it ends: flock(2), which the kernel gives back itself."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsebench.errors import InputError

VARIABLE = "SPARSEBENCH_LOCK"
_OTHERS = "see who, and let one end first: pgrep -af sparsebench"


def lock_for_writing(path: Path) -> int:
    """Lock a file that exists, and return its descriptor: the lock is held until that is closed.

    Raises
    ------
    InputError
        If another process holds the lock, or the file system knows none.
    OSError
        If the file cannot be opened for writing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InputError(f"another process is writing to the run at '{path.parent}': {_OTHERS}") from None
    except OSError as error:
        os.close(descriptor)
        raise InputError(
            f"'{path.parent}' is on a file system without locks ({error.strerror}); put the run on a local disk"
        ) from error
    return descriptor


def machine_lock() -> Path:
    """Return the file that all runs on this machine lock: $SPARSEBENCH_LOCK, or one in the folder for temporary files.

    Not in a user's own folders: runs of other users disturb as much, and home may be shared among machines.
    """
    return Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / "sparsebench.lock")


@contextmanager
def measuring(warn: Callable[[str], None]) -> Iterator[None]:
    """Tell all other runs on this machine, while the body runs, that one is measuring; `warn` hears of theirs.

    Every run holds a shared lock; who can have it exclusively is alone. A run that begins also touches the file, so
    that one which has been there before finds out at its end.
    """
    path = machine_lock()
    try:
        descriptor = _open_shared(path)
    except OSError as error:
        warn(
            f"whether another run measures on this machine is not known: {path}: {error.strerror};"
            f" name a file that can be locked by ${VARIABLE}"
        )
        yield
        return
    try:
        if not _alone(descriptor):
            warn(f"another run was being measured on this machine when this one began: {_OTHERS}")
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.utime(descriptor)
        began = os.fstat(descriptor).st_mtime_ns
        yield
        if os.fstat(descriptor).st_mtime_ns != began:
            warn(f"another run began on this machine before this one had ended: {_OTHERS}")
    finally:
        os.close(descriptor)


def _alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_shared(path: Path) -> int:
    """Open a file that users share; in a sticky folder Linux refuses to create one over another user's."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        # The umask would keep others from touching it.
        os.fchmod(descriptor, 0o666)
        return descriptor
