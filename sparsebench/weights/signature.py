"""What a file is that is not what its ending says."""

from __future__ import annotations

from pathlib import Path

# Beginnings of files that people have under a model's name; TFLite's mark follows an offset of four bytes.
_BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "a pointer of Git LFS (fetch the file itself: git lfs pull)"),
    (4, b"TFL3", "a TFLite model"),
    (0, b"PK\x03\x04", "a zip archive (PyTorch's checkpoints are)"),
    (0, b"\x80\x02", "a Python pickle"),
    (0, b"\x89HDF", "an HDF5 file (Keras' are)"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"GGUF", "a GGUF model"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"<", "HTML or XML"),
)


def really(path: Path) -> str:
    """Return the end of a message, such as "; it begins like a TFLite model"; "" where nothing is known."""
    with path.open("rb") as stream:
        head = stream.read(32)
    if not head:
        return "; it is empty"
    # The header of a .safetensors file: its length, then JSON.
    if head[8:9] == b"{":
        return "; it begins like a safetensors file"
    return next((f"; it begins like {kind}" for at, mark, kind in _BEGINNINGS if head[at:].startswith(mark)), "")
