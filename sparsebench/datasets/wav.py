"""Reads recordings: mono PCM at one rate, one length."""

from __future__ import annotations

import warnings
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError

Floats = NDArray[np.float32]
# Hz, from telephones' half to the fastest converters: what lies outside is a damaged header.
_RATES = range(4_000, 384_001)


def read(path: Path, rate: int) -> tuple[Floats, int]:
    """Return the samples of a mono recording in [-1, 1] at `rate` Hz, and the rate that the file has.

    Raises
    ------
    InputError
        If it cannot be read, is torn or empty, or has several channels.
    """
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    try:
        with warnings.catch_warnings():
            # Chunks of tags, which many recorders write, are skipped with a warning; that a file is torn is one, too.
            warnings.filterwarnings("ignore", category=wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            stored, samples = wavfile.read(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # whatever a torn header leads to: struct, value and index errors
        raise InputError(f"{path}: is not a .wav file that can be read: {error or type(error).__name__}") from error
    if samples.ndim != 1:
        raise InputError(f"{path}: has {samples.shape[1]} channels; recordings must be mono")
    if not len(samples):
        raise InputError(f"{path}: holds no samples")
    if stored not in _RATES:
        raise InputError(f"{path}: says that it has {stored} samples a second; its header is damaged")
    scaled = _scaled(samples, path)
    if stored != rate:
        common = gcd(stored, rate)
        scaled = resample_poly(scaled, rate // common, stored // common).astype(np.float32)
    return scaled, int(stored)


def centred(samples: Floats, length: int) -> Floats:
    """Return `length` samples: the middle of longer recordings, shorter ones between zeros."""
    if len(samples) >= length:
        start = (len(samples) - length) // 2
        return samples[start : start + length]
    before = (length - len(samples)) // 2
    return np.pad(samples, (before, length - len(samples) - before))


def _scaled(samples: NDArray[Any], path: Path) -> Floats:
    values = samples.astype(np.float64)
    if samples.dtype.kind == "u":
        values = (values - 128) / 128
    elif samples.dtype.kind == "i":
        values /= -float(np.iinfo(samples.dtype).min)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds NaN or infinity")
    return values.astype(np.float32)
