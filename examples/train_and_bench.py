"""Train a sparse network on handwritten digits, export it, and time it in our kernels: a few seconds in all.

Needs pip install 'sparsebench[train]'.
"""

import tempfile
from pathlib import Path

import numpy as np

from sparsebench import datasets, train
from sparsebench.bench.sampler import calibrate, timer_for
from sparsebench.memory import aligned_copy, aligned_empty
from sparsebench.nets import BatchNorm, KWinners, Linear, Sequential
from sparsebench.patterns import Complementary

digits = datasets.load("digits")
task = train.Task.of(digits, datasets.part(digits))
sparse = {"pattern": Complementary(lanes=16), "density": 0.1, "bias": False}
layers = [Linear(64, 320, **sparse), BatchNorm(320), KWinners(0.12)]
layers += [Linear(320, 320, **sparse), BatchNorm(320), KWinners(0.12), Linear(320, 10)]

# Train: masks stay where they are drawn.
net = train.start(Sequential(layers, (64,), "digits"), seed=0)
module = train.to_torch(net)
seconds = train.fit(module, task, train.Recipe(epochs=20, lr=4e-3), seed=0)
judged = train.judge(module, task)
print(f"{judged.accuracy:.1%} of {len(judged.right)} digits right after {seconds:.1f} s of training")
print("not zero in the input of:", {name: f"{share:.0%}" for name, share in judged.reached.items()})

# Export, and see that every mode says what PyTorch says.
net = train.from_torch(net, module)
path = Path(tempfile.mkdtemp()) / "digits.npz"
net.save(path)
print(f"{path}: {path.stat().st_size:,} bytes, {sum(net.nonzeros().values()):,} non-zeros")
for agreed in train.agreement(net, task.judged(), judged.logits):
    print(f"{agreed.mode:13}: {agreed.same} of {agreed.inputs} labels as PyTorch's, {agreed.ties} ties {agreed.error}")

# Time it.
x = aligned_copy(task.judged()[:1])
for mode in ("dense", "sparse-dense", "sparse-sparse"):
    plan = net.compile(1, mode)
    plan.bind(x, aligned_empty((1, 10)))
    timer = timer_for([plan])
    calls = calibrate(timer, 5e-3)
    micros = np.median([timer.seconds(calls) / calls for _ in range(15)]) * 1e6
    print(f"{mode:13}: {micros:.2f} us a digit")
