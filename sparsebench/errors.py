"""The errors that sparsebench raises on purpose, and the exit codes they lead to."""

from __future__ import annotations

EXIT_OK = 0
EXIT_THRESHOLD = 1
EXIT_USAGE = 2
EXIT_WRONG = 3
EXIT_FAILED = 4
EXIT_UNDECIDED = 5
EXIT_INTERRUPTED = 130


class InputError(ValueError):
    """Something the user gave is wrong. The message says what, where, and what would be right."""


class StorageError(RuntimeError):
    """Results cannot be written: a full disk, a lost mount. The message names the file, and how to go on afterwards."""


class UnavailableError(RuntimeError):
    """An optional library or CPU feature is absent. The message names what would bring it."""
