"""Words a second of the GSC speech network in three modes, and where one word's time goes."""

import numpy as np

from sparsebench import nets
from sparsebench.bench.sampler import calibrate, timer_for
from sparsebench.memory import aligned_empty

net = nets.load("gsc").initialize(seed=0)
rng = np.random.default_rng(1)
for batch in (1, 8, 64):
    for mode in ("dense", "sparse-dense", "sparse-sparse"):
        for threads in (1, 2):
            plan = net.compile(batch, mode, threads)
            plan.bind(rng.standard_normal((batch, 1, 32, 32), dtype=np.float32), aligned_empty((batch, 12)))
            timer = timer_for([plan])
            calls = calibrate(timer, 5e-3)
            seconds = sorted(timer.seconds(calls) / calls for _ in range(15))[7]
            print(f"batch {batch:2}, {threads} threads, {mode:13}: {batch / seconds:7,.0f} words/s ({plan.detail})")
            if batch == threads == 1:
                print(plan.describe())
