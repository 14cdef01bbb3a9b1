"""A network as the text of a file that `sparsebench.nets.load` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from sparsebench.nets.base import Layer
from sparsebench.nets.network import Sequential
from sparsebench.patterns import Block, Complementary, Pattern, Unstructured


def toml_text(network: Sequential, title: str) -> str:
    """Return the file of a network: its layers, each with its pattern, without weights."""
    parts = [f"title = {_value(title)}", f"input = {_value(list(network.input_shape))}"]
    parts += [_table(layer) for layer in network.layers]
    return "\n".join(parts) + "\n"


def _table(layer: Layer) -> str:
    lines = ["", "[[layers]]", f"kind = {_value(layer.kind)}"]
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.default is MISSING or value != field.default:
            lines.append(f"{field.name} = {_value(value)}")
    return "\n".join(lines)


def _value(value: Any) -> str:
    match value:
        case Pattern():
            return _pattern(value)
        case bool():
            return str(value).lower()
        case str():
            # A JSON string of these is a TOML string.
            return json.dumps(value)
        case Sequence():
            return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _pattern(pattern: Pattern) -> str:
    keys: dict[str, Any] = {"name": pattern.name}
    match pattern:
        case Block(rows, cols):
            keys |= {"rows": rows, "cols": cols}
        case Complementary(lanes, arrangement):
            keys |= {"lanes": lanes, "arrangement": arrangement}
        case Unstructured(skew=True):
            keys |= {"skewed": True}
    return f"{{ {', '.join(f'{key} = {_value(value)}' for key, value in keys.items())} }}"
