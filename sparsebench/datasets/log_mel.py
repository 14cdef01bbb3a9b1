"""Log-mel energies, 32 bands x 32 moments of a second, as speech networks read them.

By kaldi-native-fbank: Kaldi's own definition of a filter bank, the one that speech recognisers are trained on, in half
a megabyte without dependencies. torchaudio would need another PyTorch, and librosa brings numba and LLVM.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import UnavailableError

Floats = NDArray[np.float32]

BANDS = FRAMES = 32
SECONDS = 1.0
# Twice the distance of two moments: every sample is seen, and by two of them.
_WINDOW_MS = 2000 * SECONDS / FRAMES
# What lies so much below the loudest band of a recording is silence: 80 dB, as is usual for spectrograms.
FLOOR = -8.0 * np.log(10.0)


def log_mel(recordings: Iterable[Floats], rate: int) -> Floats:
    """Return float32 [n, 1, bands, time] of recordings of a second each.

    Energies are natural logarithms relative to the loudest of the recording, so that how near a microphone was does not
    matter, and not below `FLOOR`; a silent recording is `FLOOR` throughout.

    Raises
    ------
    UnavailableError
        If kaldi-native-fbank is not installed.
    """
    options = _options(rate)
    found = [_energies(samples, rate, options) for samples in recordings]
    stacked: Floats = np.stack(found)[:, None]
    return stacked


def white_noise(count: int, rate: int, seed: int = 0) -> Floats:
    """Return the energies [count, 1, bands, time] of white noise relative to their mean power, which is 0."""
    options = _options(rate)
    rng = np.random.default_rng(seed)
    length = round(rate * SECONDS)
    raw = [_bank(rng.standard_normal(length).astype(np.float32), rate, options) for _ in range(count)]
    energies = np.stack(raw)[:, None]
    mean = float(np.log(np.exp(energies).mean(dtype=np.float64)))
    return np.asarray(energies - np.float32(mean), np.float32)


@cache
def _options(rate: int) -> Any:
    try:
        import kaldi_native_fbank
    except ImportError:
        raise UnavailableError("speech needs kaldi-native-fbank: pip install 'sparsebench[train]'") from None
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.frame_shift_ms = 1000 * SECONDS / FRAMES
    options.frame_opts.frame_length_ms = _WINDOW_MS
    options.frame_opts.snip_edges = False
    # Random noise against log(0), which would make two runs differ.
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = BANDS
    return options


def _bank(samples: Floats, rate: int, options: Any) -> Floats:
    from kaldi_native_fbank import OnlineFbank

    fbank = OnlineFbank(options)
    fbank.accept_waveform(rate, samples)
    fbank.input_finished()
    frames = [fbank.get_frame(number) for number in range(FRAMES)]
    return np.stack(frames, axis=1).astype(np.float32)


def _energies(samples: Floats, rate: int, options: Any) -> Floats:
    peak = float(np.abs(samples).max())
    if not peak:
        return np.full((BANDS, FRAMES), FLOOR, np.float32)
    # The library has a floor of its own, below which a faint recording would lie.
    bank = _bank(samples * np.float32(1 / peak), rate, options)
    energies: Floats = np.maximum(bank - bank.max(), np.float32(FLOOR))
    return energies
