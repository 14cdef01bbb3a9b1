"""Build a sparse network, compile it, run it, and see where its time goes."""

import numpy as np

from sparsebench.nets import KWinners, Linear, ReLU, Sequential
from sparsebench.patterns import Complementary

sparse = {"pattern": Complementary(lanes=16), "density": 0.05}
net = Sequential([Linear(768, 3072, **sparse), ReLU(), KWinners(0.12), Linear(3072, 768, **sparse)], (768,), "ffn")
net = net.initialize(seed=0)  # or net.prune(trained_arrays), or net.load("weights.npz")
plan = net.compile(batch=1, mode="sparse-sparse", threads=1)
y = plan.run(np.ones((1, 768), np.float32))
print(y.shape, plan.describe(), sep="\n")
