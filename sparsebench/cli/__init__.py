"""The command line: one file per command; they parse and call, and print what comes back."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; errors that a user can mend end with a message: exit code 2, or 4 for a full disk."""
    from sparsebench.cli.app import app
    from sparsebench.errors import EXIT_FAILED, EXIT_USAGE, InputError, StorageError, UnavailableError

    try:
        app()
    except (InputError, UnavailableError) as error:
        print(f"sparsebench: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except StorageError as error:
        print(f"sparsebench: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
