"""A network as a study trains it: with one pattern, with or without k-winners, batch norms in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparsebench import nets
from sparsebench.errors import InputError
from sparsebench.nets import Layer, Sequential, Weighted
from sparsebench.patterns import Pattern
from sparsebench.weights.names import nearest


@dataclass(frozen=True, slots=True)
class Variant:
    """What a study varies of a network.

    Attributes
    ----------
    pattern
        Of the layers that the study names; None leaves them dense.
    density
        Of these layers' weights.
    act_density
        Share of activations that k-winners keep; 1 has ReLU in their place.
    """

    pattern: Pattern | None = None
    density: float = 1.0
    act_density: float = 1.0

    @property
    def label(self) -> str:
        """The pattern for tables: its label, or "dense"."""
        return "dense" if self.pattern is None else str(self.pattern)

    def __str__(self) -> str:
        weights = self.label if self.pattern is None else f"{self.label}+{1 - self.density:.6g}"
        return weights if self.act_density == 1 else f"{weights}@{self.act_density:g}"


def network_of(base: Sequential, variant: Variant, layers: Sequence[str], classes: int) -> Sequential:
    """Return a network for training: `base` with the variant's pattern in `layers`, all other layers dense.

    Each layer with weights but the last gets a batch norm (Ioffe and Szegedy 2015, arXiv 1502.03167) and no bias, which
    folding gives it again; the last one gets an output for each class. ReLU and k-winners are those of the variant.

    Raises
    ------
    InputError
        If a layer is not there or has no weights, or the pattern cannot have the density.
    """
    weighted = [name for name, layer in base.named_layers.items() if isinstance(layer, Weighted)]
    for name in layers:
        if name not in weighted:
            raise InputError(f"network '{base.name}' has no layer '{name}' with weights; {nearest(name, weighted)}")
    if not weighted or not isinstance(base.layer(weighted[-1]), nets.Linear):
        raise InputError(f"network '{base.name}' does not end in a linear layer, which would have an output a class")
    made: list[Layer] = []
    for name, layer in base.named_layers.items():
        last = name == weighted[-1]
        match layer:
            case nets.Linear() | nets.Conv2d():
                sparse = variant.pattern is not None and name in layers
                pattern, density = (variant.pattern, variant.density) if sparse else (None, 1.0)
                own = replace(layer, pattern=pattern, density=density, name=name, bias=last)
                if last and isinstance(own, nets.Linear):
                    own = replace(own, out_features=classes)
                made.append(own)
                if not last:
                    made.append(nets.BatchNorm(own.weight_shape[0]))
            case nets.KWinners() | nets.KWinners2d() | nets.ReLU() if variant.act_density == 1:
                made.append(nets.ReLU())
            case nets.KWinners() | nets.KWinners2d():
                made.append(replace(layer, density=variant.act_density, name=""))
            case nets.ReLU() if len(base.input_shapes[name]) == 1:
                made.append(nets.KWinners(variant.act_density))
            case nets.ReLU():
                made.append(nets.KWinners2d(variant.act_density))
            case nets.BatchNorm():
                pass
            case _:
                made.append(replace(layer, name=""))
    return Sequential(made, base.input_shape, base.name)
