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

# Classes whose logits differ by less, relative to the largest logit, are a tie: rounding may decide. Rounding of a
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
        Inputs with the same label, and those with another that to PyTorch is a tie with its own.
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
    same, tied = compared(found, logits)
    error = verdict.error if verdict.status == "wrong" else ""
    wrong = np.flatnonzero(~same & ~tied)
    if not error and len(wrong):
        place = int(wrong[0])
        error = (
            f"input {place}: PyTorch says class {logits[place].argmax()}, mode {mode} says {found[place].argmax()},"
            f" and {len(wrong)} of {len(x)} inputs differ so"
        )
    return Agreement(mode, len(x), int(same.sum()), int(tied.sum()), error)


def compared(found: Floats, logits: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return of each input [n, classes] whether it has PyTorch's label, and whether it has another that is a tie."""
    sound = np.isfinite(found).all(axis=1)
    label = found.argmax(axis=1)
    behind = logits.max(axis=1) - np.take_along_axis(logits, label[:, None], axis=1)[:, 0]
    same = sound & (label == logits.argmax(axis=1))
    return same, sound & ~same & (behind <= TIE * np.abs(logits).max(axis=1))
