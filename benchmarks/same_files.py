"""One hash of all generated files for each of many cases: the tool of every refactoring.

    python -m benchmarks.same_files --write before.txt
    python -m benchmarks.same_files --compare before.txt

Compiles networks that are made from seeds, for every core and preference, in 8 and 16 bits,
quantized with little and much effort, and compressed. Two versions of mcuq that print the same
lines generate the same files. Takes a few minutes; exit 1 where a case differs.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import onnx
import random_networks
import torch

from benchmarks.networks import NETWORKS
from mcuq.config import Config
from mcuq.errors import McuqError
from mcuq.flows.compile import compile_model
from mcuq.model.compiled import Compiled, generate
from mcuq.program.choose import PREFERENCES
from mcuq.targets import boards
from mcuq.targets.cores import CHECKED

FAST: Mapping[str, Any] = {"effort": "fast"}
NORMAL: Mapping[str, Any] = {"effort": "normal"}
WIDE: Mapping[str, Any] = {"effort": "fast", "bits": 16}
MIXED: Mapping[str, Any] = {"effort": "fast", "bits": "mixed"}
ROWS = 8


@dataclass(frozen=True)
class Case:
    """``network``: a name in ``NETWORKS`` or a seed of ``random_networks``."""

    network: str | int
    quantize: Mapping[str, Any] = field(default_factory=lambda: FAST)
    compress: str | None = None
    recover: int | None = None

    def __str__(self) -> str:
        parts = [str(self.network), *(f"{k}={v}" for k, v in self.quantize.items())]
        parts += [self.compress] if self.compress else []
        return " ".join(parts + ([f"recover={self.recover}"] if self.recover else []))


# Where each case is generated for: on every core with every preference, or for no core alone.
ON_CORES = (
    *(Case(name) for name in ("ic", "kws", "ad", "sww")),
    *(Case(seed) for seed in range(12)),
    *(Case(seed, WIDE) for seed in range(4)),
    Case("kws", WIDE),
    Case("ic", compress="structured:0.5"),
    Case("ic", compress="cluster:4bit"),
    Case("ad", compress="sparse:0.8"),
    Case("ad", compress="block:0.8,cluster:4bit"),
    Case("sww", compress="2:4"),
)
PORTABLE = (
    *(Case(seed) for seed in range(12, 60)),
    *(Case(seed, WIDE) for seed in range(4, 24)),
    *(Case(seed, NORMAL) for seed in range(24)),
    *(Case(seed, {"effort": "best"}) for seed in (1, 2)),
    *(Case(seed, MIXED) for seed in (2, 3)),
    *(Case(seed, compress="structured:0.1") for seed in (1, 7, 11, 14, 34, 35, 38)),
    *(Case(seed, compress="cluster:4bit") for seed in range(8)),
    *(Case(seed, compress="log") for seed in range(4)),
    *(Case(seed, compress="int4") for seed in range(4)),
    Case("sww", NORMAL),
    Case("kws", compress="structured:0.3,cluster:2bit", recover=1),
)


def compiled(case: Case) -> Compiled:
    """The case for no core."""
    config = Config(quantize=case.quantize)
    more: Any = {"config": config, "compress": case.compress, "recover": case.recover}
    if isinstance(case.network, str):
        network = NETWORKS[case.network]
        inputs = network.inputs(ROWS)
        example = torch.from_numpy(inputs[:1])
        return compile_model(network.module(), example, inputs, name=case.network, **more)
    proto = random_networks.model(case.network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"random_{case.network}.onnx"
        onnx.save(proto, path)
        inputs = random_networks.inputs(case.network, proto, ROWS)
        return compile_model(path, calibration=inputs, **more)


def lines(case: Case, on_cores: bool) -> Iterator[str]:
    """``hash case core preference``; for what mcuq refuses, its words."""
    try:
        made = compiled(case)
    except McuqError as error:
        yield f"{_hash([str(error)])} {case} refused"
        return
    yield f"{_hash_of(made)} {case}"
    for name in CHECKED if on_cores else ():
        for prefer in PREFERENCES:
            bundle = replace(made.bundle, prefer=prefer)
            yield f"{_hash_of(generate(bundle, boards.load(name)))} {case} {name} {prefer}"


def _hash_of(made: Compiled) -> str:
    return _hash([text for item in sorted(made.files.items()) for text in item])


def _hash(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def main(arguments: list[str]) -> int:
    """Print a line for each case; 1 if they are not those of the file to compare with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_files")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--compare", type=Path)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = []
    for case in (*ON_CORES, *PORTABLE):
        for line in lines(case, case in ON_CORES):
            print(line, flush=True)
            found.append(line)
    if chosen.write:
        chosen.write.write_text("\n".join(found) + "\n")
    before = chosen.compare.read_text().splitlines() if chosen.compare else found
    for line in sorted(set(before) ^ set(found)):
        print("only before:" if line in before else "only now:", line)
    return int(before != found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
