"""Damaged checkpoints: only our own error, within 2 seconds and 500 MB, and nothing that is not what was saved.

    python tests/torture/broken_checkpoints.py [--seed 0] [--count 20000]

Trials take turns: one bit of the file flipped, bytes overwritten, inserted or cut out, the file cut short, a header of
random JSON, and a header of the right shape with random values. When --count is the number of bits in the file (see
--every-bit), each single bit is flipped once, and every such file must be refused.
"""

import json
import math
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from verdict import Violation, torture

from nst_fast.errors import CheckpointError
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint, save_checkpoint
from nst_fast.networks.registry import describe_network

_MOST_SECONDS, _MOST_MEGABYTES = 2.0, 500
_KEYS = ("format_version", "network", "style", "loss", "training", "held_out", "name", "width", "input_noise", "title")


def save_original(path: Path) -> Checkpoint:
    """A small whole checkpoint."""
    description = describe_network("realtime", width=4, input_noise=0.016)
    numbers = np.random.default_rng(0)
    weights = {
        name: numbers.normal(size=shape).astype(np.float32) for name, shape in description.list_parameters().items()
    }
    style = {"name": "wave", "title": "Die große Welle", "artist": "Hokusai", "year": 1831}
    save_checkpoint(path, Checkpoint(description, weights, CheckpointInfo(style=style)), dtype="fp16")
    return load_checkpoint(path)


def random_json(numbers: random.Random, depth: int = 0) -> Any:
    """Any JSON value, sometimes deep, sometimes with the keys of a checkpoint."""
    kind = numbers.randrange(8 if depth < 5 else 6)
    if kind == 6:
        return [random_json(numbers, depth + 1) for _ in range(numbers.randrange(4))]
    if kind == 7:
        return {numbers.choice(_KEYS): random_json(numbers, depth + 1) for _ in range(numbers.randrange(5))}
    texts = ("", "realtime", "johnson", "../../etc", "\x1b[31m", "é" * numbers.randrange(300), "1")
    plain = (None, True, numbers.randrange(-(10**9), 10**9), numbers.choice((math.inf, -math.inf, math.nan, 1e308)))
    return numbers.choice(texts) if kind < 3 else numbers.choice(plain)


def mutate(numbers: random.Random, data: bytes, path: Path, original: Checkpoint) -> None:
    """Write a damaged file."""
    kind = numbers.randrange(7)
    place = numbers.randrange(len(data))
    length = numbers.randrange(1, 64)
    if kind == 0:
        data = flip(data, numbers.randrange(8 * len(data)))
    elif kind == 1:
        data = data[:place] + numbers.randbytes(length) + data[place + length :]
    elif kind == 2:
        data = data[:place] + numbers.randbytes(length) + data[place:]
    elif kind == 3:
        data = data[:place] + data[place + length :]
    elif kind == 4:
        data = data[:place]
    else:
        header = random_json(numbers)
        if kind == 6:
            header = {"format_version": numbers.choice((1, 2)), "network": {"name": "realtime", "width": 4}}
            header[numbers.choice(_KEYS)] = random_json(numbers)
        text = "[" * 100_000 if numbers.random() < 0.01 else json.dumps(header)
        data = safetensors.numpy.save(dict(original.weights), {"nst_fast": text})
    path.write_bytes(data)


def flip(data: bytes, bit: int) -> bytes:
    """One bit the other way."""
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def is_refused(path: Path, original: Checkpoint) -> bool:
    """Whether the file is refused; raises Violation for anything but a refusal in one line or a sound network."""
    began = time.monotonic()
    try:
        loaded = load_checkpoint(path)
    except CheckpointError as error:
        loaded = None
        if "\n" in str(error) or not str(error).isprintable():
            raise Violation(f"an error of more than one printable line: {error!r}") from error
    except BaseException as error:
        raise Violation(f"{type(error).__name__}: {error}") from error
    if (seconds := time.monotonic() - began) > _MOST_SECONDS:
        raise Violation(f"took {seconds:.1f} s")
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if megabytes > _MOST_MEGABYTES:
        raise Violation(f"took {megabytes:.0f} MB")
    if loaded is not None and not all(np.isfinite(weight).all() for weight in loaded.weights.values()):
        raise Violation("loaded weights that are not finite")
    return loaded is None


def main() -> None:
    """Damage, load, judge."""
    with tempfile.TemporaryDirectory() as folder:
        whole, damaged = Path(folder, "whole.safetensors"), Path(folder, "damaged.safetensors")
        original = save_original(whole)
        data = whole.read_bytes()

        def flip_each_bit(_numbers: random.Random, number: int) -> None:
            damaged.write_bytes(flip(data, number))
            if not is_refused(damaged, original):
                raise Violation(f"bit {number} of {8 * len(data)} is another one, and the file was loaded")

        def damage_somehow(numbers: random.Random, _number: int) -> None:
            mutate(numbers, data, damaged, original)
            is_refused(damaged, original)

        if "--every-bit" in sys.argv:
            sys.argv.remove("--every-bit")
            torture(str(__doc__), flip_each_bit, count=8 * len(data))
        else:
            torture(str(__doc__), damage_somehow, count=20_000)


if __name__ == "__main__":
    main()
