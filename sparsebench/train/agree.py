"""Whether a trained network says the same in our kernels as in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsebench.memory import aligned_copy
from sparsebench.nets import Sequential
from sparsebench.nets.compile import MODES, Mode
from sparsebench.nets.operands import NetworkOperands
from sparsebench.nets.verify import NetworkReference

Floats = NDArray[np.float32]

# Two classes whose logits differ by less, relative to the largest logit, are a tie: rounding may decide. Rounding of a
# layer is a thousand times less, but where it decides which of two units wins, what follows differs by a unit.
TIE = 1e-2
# So many inputs are checked stage by stage against float64.
_VERIFIED = 16


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one mode of a compiled network compares with PyTorch over all that judges.

    Attributes
    ----------
    same, ties
        Inputs with the same label, and those with another where PyTorch's two best logits are a tie.
    error
        What is wrong; "" if nothing is.
    """

    mode: Mode
    inputs: int
    same: int
    ties: int
    error: str = ""


def agreement(network: Sequential, x: Floats, logits: Floats) -> list[Agreement]:
    """Compare every mode of a network, compiled for one thread, with what PyTorch made of x.

    Every stage is also checked against float64 on a few inputs.

    Parameters
    ----------
    network
        As trained; batch norms are folded here.
    x
        float32 [n, *input shape].
    logits
        float32 [n, classes], PyTorch's.
    """
    folded = network.fold()
    return [_agreement(folded, mode, x, logits) for mode in MODES]


def _agreement(network: Sequential, mode: Mode, x: Floats, logits: Floats) -> Agreement:
    few = aligned_copy(x[:_VERIFIED])
    checked = network.compile(len(few), mode)
    verdict = NetworkReference(NetworkOperands(network, few)).judge(checked, checked.run(few))
    plan = network.compile(1, mode)
    found = np.concatenate([plan.run(one[None]) for one in x])
    other = found.argmax(axis=1) != logits.argmax(axis=1)
    second, first = np.sort(logits[other], axis=1)[:, -2:].T
    scale = np.abs(logits[other]).max(axis=1)
    tied = first - second <= TIE * scale
    error = verdict.error if verdict.status == "wrong" else ""
    if not error and not tied.all():
        place = int(np.flatnonzero(other)[~tied][0])
        error = (
            f"input {place}: PyTorch says class {logits[place].argmax()}, mode {mode} says {found[place].argmax()},"
            f" and {np.count_nonzero(~tied)} of {len(x)} inputs differ so"
        )
    return Agreement(mode, len(x), int((~other).sum()), int(tied.sum()), error)
