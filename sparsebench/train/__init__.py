"""Train a network of `sparsebench.nets` in PyTorch: masks stay where they are, and what comes out runs in our kernels.

>>> from sparsebench import nets, train
>>> net = train.start(nets.load("gsc"), seed=0)  # masks and first weights, drawn
>>> module = train.to_torch(net)  # a torch.nn.Sequential; any optimiser, any loop
>>> net = train.from_torch(net, module)  # back, with its masks: net.save("gsc.npz"), net.compile(batch=1)

Needs PyTorch: ``pip install 'sparsebench[train]'``; nothing else in sparsebench imports it.
"""

from __future__ import annotations

from sparsebench.errors import UnavailableError

try:
    import torch as _torch  # noqa: F401
except ImportError:
    raise UnavailableError("training needs PyTorch: pip install 'sparsebench[train]'") from None

from sparsebench.train.agree import Agreement, agreement
from sparsebench.train.convert import from_torch, start, to_torch
from sparsebench.train.fit import DivergedError, Epoch, Task, fit, judge
from sparsebench.train.modules import SparseConv2d, SparseLinear
from sparsebench.train.recipe import Recipe
from sparsebench.train.winners import KWinners, KWinners2d, set_boost

__all__ = [
    "Agreement",
    "DivergedError",
    "Epoch",
    "KWinners",
    "KWinners2d",
    "Recipe",
    "SparseConv2d",
    "SparseLinear",
    "Task",
    "agreement",
    "fit",
    "from_torch",
    "judge",
    "set_boost",
    "start",
    "to_torch",
]
