"""The schema of accuracy suites (pydantic), and how they are found and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt

from sparsebench import toml_tables
from sparsebench.suite.schema import PATTERN_TABLES, Densities, PatternTable
from sparsebench.toml_tables import STRICT

Share = Annotated[float, Field(ge=0, lt=1)]
Start = Literal["static", "pruned"]
Split = Literal["official", "leave-one-speaker-out"]


class _Table(BaseModel):
    model_config = STRICT


class RecipeTable(_Table):
    """How every network is trained, whatever its pattern: the fields of `sparsebench.train.Recipe`."""

    epochs: PositiveInt
    batch: Annotated[int, Field(ge=2)] = 64
    optimizer: Literal["sgd", "adam", "adamw", "nadam", "rmsprop"] = "adamw"
    lr: PositiveFloat = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    momentum: Share = 0.9
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.3
    label_smoothing: Share = 0.0
    precision: Literal["f32", "bf16"] = "f32"
    boost: Annotated[float, Field(ge=0)] = 1.5
    boosted: Annotated[float, Field(gt=0, le=1)] = 0.75
    shift: Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2)] = [0, 0]
    flip: bool = False
    noise_db: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        None, description="White noise added to recordings: [most, least], dB below their loudest."
    )

    def fields(self, **changes: Any) -> dict[str, Any]:
        """Return the arguments of a `sparsebench.train.Recipe`; `changes` replace some."""
        given = {key: getattr(self, key) for key in type(self).model_fields} | changes
        return given | {"shift": tuple(given["shift"]), "noise_db": tuple(given["noise_db"] or ())}


class FineTuneTable(_Table):
    """What differs when a trained dense network has been pruned and is trained on."""

    epochs: PositiveInt
    lr: PositiveFloat


class TrainingsTable(_Table):
    """Trainings: the product of all lists in this table, and dense networks to compare them with."""

    split: Split = "official"
    patterns: Annotated[list[PatternTable], Field(min_length=1)]
    density: Densities = [0.05]
    act_density: Densities = Field([1.0], description="Share of activations that k-winners keep; 1 has ReLU instead.")
    start: Annotated[list[Start], Field(min_length=1)] = Field(
        ["static"],
        description="static: a mask is drawn, then trained in; pruned: a trained dense network is pruned, trained on.",
    )
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)] = [0]


class Study(_Table):
    """An accuracy suite."""

    title: str
    data: Literal["digits", "idx", "speech-commands", "spoken-digits"]
    network: str = Field(description="Name of a shipped network, or the path of a file.")
    layers: Annotated[list[str], Field(min_length=1)] = Field(
        description="Layers that have the pattern; the others are dense."
    )
    recipe: RecipeTable
    fine_tune: FineTuneTable | None = Field(None, description="Needed for trainings that start from pruned networks.")
    trainings: Annotated[list[TrainingsTable], Field(min_length=1)]


_INNER = toml_tables.Inner(
    keys={"recipe": RecipeTable, "fine_tune": FineTuneTable, "trainings": TrainingsTable}, branches=PATTERN_TABLES
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid suite, the name it goes by, and its text for the record."""

    name: str
    text: str
    study: Study


def folder() -> Path:
    """Where the shipped accuracy suites are."""
    return toml_tables.folder() / "accuracy"


def shipped() -> list[tuple[str, str]]:
    """Names and titles of the shipped accuracy suites."""
    return [(path.stem, load(path.stem).study.title) for path in sorted(folder().glob("*.toml"))]


def load(name_or_path: str) -> Loaded:
    """Read and validate an accuracy suite, by the name of a shipped one or a path.

    Raises
    ------
    InputError
        If there is no such suite, it is not TOML, or anything in it is wrong: a line for each wrong key.
    """
    path = toml_tables.find(name_or_path, folder(), "accuracy suite")
    text, study = toml_tables.read(path, Study, _INNER)
    return Loaded(path.stem, text, study)


def parse(name: str, text: str, origin: str) -> Loaded:
    """Read a suite from its text, as a record of a study keeps it; raises InputError as `load`."""
    import tomllib

    return Loaded(name, text, toml_tables.validate(tomllib.loads(text), origin, Study, _INNER))
