"""``sparsebench doctor``."""
def doctor() -> None:
    """Say what this machine is."""
