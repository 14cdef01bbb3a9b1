"""The schema of network files (pydantic), from which the published JSON schema is made too.

A table of a layer has the fields of the layer's class, under the same names and with the same defaults.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, NonNegativeInt, PositiveInt
from pydantic.config import JsonDict

from sparsebench.nets.base import Layer
from sparsebench.nets.layers import LAYERS
from sparsebench.suite.schema import Density, PatternTable
from sparsebench.toml_tables import STRICT


def _as_pair(value: Any) -> Any:
    return [value, value] if isinstance(value, int) else value


def _or_one_number(schema: JsonDict) -> None:
    # The published schema is of what stands in a file; pydantic's is of what `_as_pair` returns.
    array = {key: schema.pop(key) for key in ("type", "items", "minItems", "maxItems")}
    schema["anyOf"] = [array["items"], array]


_PAIRED = BeforeValidator(_as_pair)
_TWO = Field(min_length=2, max_length=2, json_schema_extra=_or_one_number)

Sides = Annotated[list[PositiveInt], _PAIRED, _TWO]
Margins = Annotated[list[NonNegativeInt], _PAIRED, _TWO]


class _Table(BaseModel):
    model_config = STRICT


class _LayerTable(_Table):
    kind: str
    name: str = Field("", description="Of the layer; without it, its kind and a number, such as conv1.")

    def build(self) -> Layer:
        """Return the layer of this table; raises InputError if its numbers do not go together."""
        values = {key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}
        values.pop("kind")
        if "pattern" in values:
            values["pattern"] = values["pattern"].build(N=1)
        pairs = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return LAYERS[self.kind](**values | pairs)


class _WeightedTable(_LayerTable):
    bias: bool = True
    pattern: PatternTable | None = Field(None, description="Where the non-zeros sit; without it weights are dense.")
    density: Density = 1.0


class LinearTable(_WeightedTable):
    """y = W x + b."""

    kind: Literal["linear"]
    in_features: PositiveInt
    out_features: PositiveInt


class Conv2dTable(_WeightedTable):
    """Convolution; sizes are one number or [vertical, horizontal]."""

    kind: Literal["conv2d"]
    in_channels: PositiveInt
    out_channels: PositiveInt
    kernel: Sides
    stride: Sides = [1, 1]
    padding: Margins = [0, 0]
    dilation: Sides = [1, 1]
    groups: PositiveInt = 1


class MaxPool2dTable(_LayerTable):
    """Largest value of each window; stride is the kernel's size where it is not given."""

    kind: Literal["maxpool2d"]
    kernel: Sides
    stride: Sides | None = None
    padding: Margins = [0, 0]


class ReLUTable(_LayerTable):
    """max(x, 0)."""

    kind: Literal["relu"]


class GELUTable(_LayerTable):
    """x Phi(x)."""

    kind: Literal["gelu"]


class KWinnersTable(_LayerTable):
    """Keep round(size * density) largest values of each input."""

    kind: Literal["kwinners"]
    density: Density


class KWinners2dTable(_LayerTable):
    """Keep round(channels * density) largest values of each pixel, or so many of the whole map."""

    kind: Literal["kwinners2d"]
    density: Density
    local: bool = True


class FlattenTable(_LayerTable):
    """A map as features, in the order channel, row, column."""

    kind: Literal["flatten"]


class BatchNormTable(_LayerTable):
    """Scale and shift of each channel; folded into the layer before."""

    kind: Literal["batchnorm"]
    features: PositiveInt
    eps: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-5


LayerTable = Annotated[
    LinearTable
    | Conv2dTable
    | MaxPool2dTable
    | ReLUTable
    | GELUTable
    | KWinnersTable
    | KWinners2dTable
    | FlattenTable
    | BatchNormTable,
    Field(discriminator="kind"),
]
LAYER_TABLES: dict[str, type[BaseModel]] = {
    "linear": LinearTable,
    "conv2d": Conv2dTable,
    "maxpool2d": MaxPool2dTable,
    "relu": ReLUTable,
    "gelu": GELUTable,
    "kwinners": KWinnersTable,
    "kwinners2d": KWinners2dTable,
    "flatten": FlattenTable,
    "batchnorm": BatchNormTable,
}


class Net(_Table):
    """A network file."""

    title: str
    input: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        description="Shape of one input: [channels, height, width] or [features]."
    )
    layers: Annotated[list[LayerTable], Field(min_length=1)]


def schema_text() -> str:
    """Return the JSON schema of network files, as published in ``suites/nets/net.schema.json``."""
    return json.dumps(Net.model_json_schema(), indent=1) + "\n"
