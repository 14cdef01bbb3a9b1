"""Google Speech Commands, v0.01 or v0.02 in its own folders: the task of 12 classes, split by the lists it comes with.

Ten words, all other words as "unknown", and "silence" cut from the background noises; of each of these two a tenth as
many as there are words, as in Warden 2018, "Speech Commands" (arXiv 1804.03209).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from sparsebench.datasets import wav
from sparsebench.datasets.base import PARTS, Dataset, require_folder
from sparsebench.datasets.log_mel import SECONDS, log_mel, white_noise
from sparsebench.errors import InputError

NAME = "Speech Commands"
RATE = 16000
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "_unknown_", "_silence_"
CLASSES = (SILENCE, UNKNOWN, *WORDS)
HOW = (
    "It is published by Google as archives speech_commands_v0.01 (1.5 GB) and v0.02 (2.4 GB, CC BY 4.0): unpack one and"
    " name the folder in which testing_list.txt lies"
)
_BACKGROUND = "_background_noise_"
_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}
_SHARE = 0.1
_SEED = 0
_NOISES = 16
# Where in a background noise the parts begin and end.
_NOISE_SHARES = (0.0, 0.8, 0.9, 1.0)


def load(folder: Path | None) -> Dataset:
    """Read the folders of words; which others are drawn as unknown, and where silence is cut, is always the same.

    Raises
    ------
    InputError
        If the folder, one of its lists or the folder of a word is missing, or a recording cannot be read.
    UnavailableError
        If kaldi-native-fbank is not installed.
    """
    folder = require_folder(folder, NAME, HOW)
    listed = {name: part for file, part in _LISTS.items() for name in _list(folder / file)}
    for word in WORDS:
        if not any((folder / word).glob("*.wav")):
            raise InputError(f"{NAME}: class '{word}' has no samples: no .wav file in '{folder / word}'. {HOW}")
    rng = np.random.default_rng(_SEED)
    paths: list[Path] = []
    labels: list[int] = []
    parts: list[int] = []
    silences: list[int] = []
    others = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in (*WORDS, _BACKGROUND))
    for number, part in enumerate(PARTS):
        spoken = [(path, CLASSES.index(word)) for word in WORDS for path in _of(folder, word, part, listed)]
        unknown = [path for word in others for path in _of(folder, word, part, listed)]
        count = round(_SHARE * len(spoken))
        silences.append(count)
        drawn = rng.permutation(len(unknown))[:count]
        spoken += [(unknown[place], CLASSES.index(UNKNOWN)) for place in sorted(drawn)]
        paths += [path for path, _ in spoken]
        labels += [label for _, label in spoken]
        parts += [number] * len(spoken)
    length = round(RATE * SECONDS)
    quiet = _silence(folder / _BACKGROUND, silences, length, rng)
    resampled: list[Path] = []
    x = log_mel(chain(_recordings(paths, length, resampled), quiet), RATE)
    labels += [CLASSES.index(SILENCE)] * sum(silences)
    parts += [number for number, count in enumerate(silences) for _ in range(count)]
    notes = [f"{len(resampled)} of {len(paths)} recordings were resampled to {RATE} Hz"] if resampled else []
    if absent := sorted(name for name in listed if not (folder / name).is_file()):
        notes.append(f"{len(absent)} of {len(listed)} recordings that its lists name are not there: {absent[0]} ...")
    return Dataset(
        NAME,
        CLASSES,
        x,
        np.array(labels, np.int64),
        np.array(parts, np.uint8),
        # Who spoke is the first part of a file's name; nobody is silent.
        (*(path.name.partition("_nohash_")[0] for path in paths), *[""] * sum(silences)),
        white_noise(_NOISES, RATE),
        tuple(notes),
        folder,
    )


def _list(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{NAME}: {path} cannot be read: {error}. {HOW}") from error
    if not names:
        raise InputError(f"{NAME}: {path} is empty. {HOW}")
    return names


def _of(folder: Path, word: str, part: str, listed: dict[str, str]) -> list[Path]:
    """Return the recordings of a word in a part of the official split: what no list names is trained on."""
    found = sorted((folder / word).glob("*.wav"))
    return [path for path in found if listed.get(f"{word}/{path.name}", "train") == part]


def _recordings(paths: list[Path], length: int, resampled: list[Path]) -> Iterator[wav.Floats]:
    """Read one after another: all at once they would be gigabytes. Those of another rate are added to `resampled`."""
    for path in paths:
        samples, stored = wav.read(path, RATE)
        if stored != RATE:
            resampled.append(path)
        yield wav.centred(samples, length)


def _silence(folder: Path, counts: Sequence[int], length: int, rng: np.random.Generator) -> Iterator[wav.Floats]:
    """Return cuts of the background noises, so many for each of `PARTS`, each part out of a time of its own."""
    noises = [wav.read(path, RATE)[0] for path in sorted(folder.glob("*.wav"))]
    long = [noise for noise in noises if len(noise) >= length * len(PARTS)]
    if not long:
        raise InputError(
            f"{NAME}: class '{SILENCE}' has no samples: no .wav file of {len(PARTS) * SECONDS:g} s in '{folder}'. {HOW}"
        )
    return _cuts(long, counts, length, rng)


def _cuts(
    noises: Sequence[wav.Floats], counts: Sequence[int], length: int, rng: np.random.Generator
) -> Iterator[wav.Floats]:
    for part, count in enumerate(counts):
        for number in range(count):
            noise = noises[number % len(noises)]
            # Each part has a second at least, and of longer noises its share.
            spare = len(noise) - len(PARTS) * length
            borders = [place * length + round(share * spare) for place, share in enumerate(_NOISE_SHARES)]
            start = int(rng.integers(borders[part], borders[part + 1] - length + 1))
            yield noise[start : start + length]
