"""The schema of suite files (pydantic), from which the published JSON schema is made too."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, PositiveInt, model_validator
from pydantic.config import JsonDict

from sparsebench.patterns import Block, Complementary, Pattern, Stored, Unstructured
from sparsebench.problem import SIZES
from sparsebench.suite.thresholds import ThresholdTable
from sparsebench.tiling import preferred_lanes
from sparsebench.toml_tables import STRICT
from sparsebench.window import Window, pair


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _or_its_item(schema: JsonDict) -> None:
    # The published schema is of what stands in a file; pydantic's is of what `_as_list` returns.
    array = {key: schema.pop(key) for key in ("type", "items", "minItems")}
    schema["anyOf"] = [array["items"], array]


_LISTED = BeforeValidator(_as_list)
_NOT_EMPTY = Field(min_length=1, json_schema_extra=_or_its_item)

Density = Annotated[float, Field(gt=0, le=1)]
Numbers = Annotated[list[PositiveInt], _LISTED, _NOT_EMPTY]
Densities = Annotated[list[Density], _LISTED, _NOT_EMPTY]
Caches = Annotated[list[Literal["warm", "cold"]], _LISTED, _NOT_EMPTY]
Layouts = Annotated[list[Literal["row", "blocked"]], _LISTED, _NOT_EMPTY]
# One number, or [vertical, horizontal].
_Natural = Annotated[int, Field(ge=0)]
Side = PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
Margin = _Natural | Annotated[list[_Natural], Field(min_length=2, max_length=2)]
Globs = Annotated[list[str], _LISTED, _NOT_EMPTY]
Threads = Annotated[list[PositiveInt | Literal["all"]], _LISTED, _NOT_EMPTY]


class _Table(BaseModel):
    model_config = STRICT


class UnstructuredTable(_Table):
    """Non-zeros anywhere; skewed: with the uneven rows of magnitude pruning."""

    name: Literal["unstructured"]
    skewed: bool = False

    def build(self, N: int) -> Pattern:
        """Return the pattern of this table for N columns."""
        return Unstructured(self.skewed)


class BlockTable(_Table):
    """Whole blocks of rows x cols."""

    name: Literal["block"]
    rows: PositiveInt
    cols: PositiveInt

    def build(self, N: int) -> Pattern:
        """Return the pattern of this table for N columns."""
        return Block(self.rows, self.cols)


class ComplementaryTable(_Table):
    """1/density lane groups overlaid in one dense array."""

    name: Literal["complementary"]
    lanes: Literal[1, 4, 8, 16, "auto"] = Field(8, description="auto: the fastest for each N, see docs/kernels.md.")
    arrangement: Literal["balanced", "partitioned"] = "balanced"

    def build(self, N: int) -> Pattern:
        """Return the pattern of this table for N columns."""
        return Complementary(preferred_lanes(N) if self.lanes == "auto" else self.lanes, self.arrangement)


class StoredTable(_Table):
    """The non-zeros that the weights' file stores."""

    name: Literal["stored"]

    def build(self, N: int) -> Pattern:
        """Return the pattern of this table for N columns."""
        return Stored()


PatternTable = Annotated[UnstructuredTable | BlockTable | ComplementaryTable | StoredTable, Field(discriminator="name")]
PATTERN_TABLES: dict[str, type[BaseModel]] = {
    "unstructured": UnstructuredTable,
    "block": BlockTable,
    "complementary": ComplementaryTable,
    "stored": StoredTable,
}


class WeightsTable(_Table):
    """Weights from files: an address, and which of its matrices to take."""

    source: str
    per_shape: PositiveInt | None = Field(None, description="Keep the first so many matrices of each shape.")


class ProblemTable(_Table):
    """Problems: the product of all lists in this table."""

    op: Literal["matmul", "conv2d", "network"] = "matmul"
    shapes: list[tuple[PositiveInt, ...]] | None = Field(
        None,
        description="matmul: [M, K] each; with weights from files only these shapes are taken."
        " conv2d: [out, in, kh, kw, H, W] each.",
        min_length=1,
    )
    networks: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="network: names of shipped networks, or files; each layer has its own pattern and density."
    )
    n: Numbers = Field(description="matmul: columns of X; others: batch.")
    stride: Side = 1
    padding: Margin = 0
    dilation: Side = 1
    groups: PositiveInt = 1
    patterns: Annotated[list[PatternTable], Field(min_length=1)] | None = Field(
        None, description="Needed but for networks."
    )
    density: Densities = Field([0.05], description="Fraction of weights kept; a stored pattern has its own.")
    act_density: Densities = [1.0]
    weights: str | WeightsTable = Field("random", description="network: random, or an .npz file of its weights.")
    cache: Caches = ["warm"]
    x_layout: Layouts = Field(["row"], description="blocked: each kernel gets X and Y in its own best layout.")
    kernels: Globs = Field(
        ["*"],
        description="Names, in which * stands for anything. '*' alone is every kernel but the peers, 'peers' is these:"
        " libraries with threads of their own, from the extra 'peers'.",
    )
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _shapes_from_toml(cls, data: Any) -> Any:
        # Strict mode takes tuples only, TOML has lists.
        if isinstance(data, dict) and isinstance(data.get("shapes"), list):
            return data | {"shapes": [tuple(s) if isinstance(s, list) else s for s in data["shapes"]]}
        return data

    @property
    def window(self) -> Window:
        """The window of conv2d tables, its kernel left to each shape."""
        return Window((1, 1), pair(self.stride), pair(self.padding), pair(self.dilation))

    @model_validator(mode="after")
    def _keys_fit_the_op(self) -> ProblemTable:
        foreign = {
            "network": (
                "shapes",
                "stride",
                "padding",
                "dilation",
                "groups",
                "patterns",
                "density",
                "act_density",
                "cache",
                "x_layout",
            ),
        }.get(self.op, ("networks",))
        given = [name for name in foreign if name in self.model_fields_set]
        if given:
            raise ValueError(f"{given[0]} is not for op '{self.op}'")
        needed = "networks" if self.op == "network" else "patterns"
        if getattr(self, needed) is None:
            raise ValueError(f"op '{self.op}' needs {needed}")
        if self.op == "network" and isinstance(self.weights, WeightsTable):
            raise ValueError("op 'network' takes weights 'random' or the path of an .npz file")
        return self

    @model_validator(mode="after")
    def _shapes_fit_the_op(self) -> ProblemTable:
        if self.op == "network":
            return self
        names = SIZES[self.op][:-1]
        for number, shape in enumerate(self.shapes or ()):
            if len(shape) != len(names):
                raise ValueError(f"shapes[{number}] of op '{self.op}' must be [{', '.join(names)}]")
        if self.op == "conv2d":
            if self.weights != "random":
                raise ValueError("op 'conv2d' takes weights 'random'")
            if self.x_layout != ["row"]:
                raise ValueError("x_layout is for op 'matmul'; a convolution's X is NCHW")
        elif (self.window, self.groups) != (Window((1, 1)), 1):
            raise ValueError("stride, padding, dilation and groups are for op 'conv2d'")
        return self

    @model_validator(mode="after")
    def _random_needs_shapes(self) -> ProblemTable:
        if self.weights == "random" and self.op != "network":
            if self.shapes is None:
                raise ValueError(f"weights 'random' need shapes = [[{', '.join(SIZES[self.op][:-1])}], ...]")
            if any(pattern.name == "stored" for pattern in self.patterns or ()):
                raise ValueError("pattern 'stored' needs weights from a file")
        return self


class ModelTable(_Table):
    """Problems: the distinct layers of a model file at its own sizes, in each pattern at each density.

    Layers that cannot have a pattern are left out: ``sparsebench model FILE --what-if 0.9 --dry-run`` says which.
    """

    file: str = Field(description="A model: .onnx, .tflite; a path, data:... or pypi:NAME==VERSION#MEMBER@sha256=HEX.")
    input_shapes: dict[str, Annotated[list[PositiveInt], Field(min_length=1)]] = Field(
        {}, description="Sizes of its inputs by name, where the file leaves them open."
    )
    batch: PositiveInt | None = Field(None, description="First size of every other input.")
    layers: Globs = Field(["*"], description="Only layers with such names.", json_schema_extra=_or_its_item)
    skip: list[str] = Field([], description="No layers with such names.")
    largest: PositiveInt | None = Field(
        None, description="Keep only so many shapes: those with the most multiply-adds in the whole model."
    )
    patterns: Annotated[list[PatternTable], Field(min_length=1)]
    density: Densities = Field([0.05], description="Fraction of weights kept; a stored pattern has its own.")
    kernels: Globs = ["*"]
    seed: Annotated[int, Field(ge=0)] = 0


class PublishedTable(_Table):
    """Figures that others published for a network; reports show them, marked as such, beside what was measured."""

    network: str = Field(description="The network's name in the tables.")
    what: str = Field(description="Hardware and setting.")
    source: str
    items_per_s: Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)] = Field(
        description="Inputs a second, by the kernel that they are to be compared with."
    )


class Suite(_Table):
    """A suite file."""

    title: str
    baseline: str | None = Field(
        None, description="Kernel over which speed-ups are given; mkl-dense, for conv2d mkl-im2col, unless named."
    )
    threads: Threads = [1]
    problems: list[ProblemTable] = []
    models: list[ModelTable] = []
    thresholds: list[ThresholdTable] = []
    published: list[PublishedTable] = []

    @model_validator(mode="after")
    def _something_to_measure(self) -> Suite:
        if not self.problems and not self.models:
            raise ValueError("a suite needs [[problems]] or [[models]]")
        return self


def schema_text() -> str:
    """Return the JSON schema of suite files, as published in ``suites/suite.schema.json``."""
    return json.dumps(Suite.model_json_schema(), indent=1) + "\n"
