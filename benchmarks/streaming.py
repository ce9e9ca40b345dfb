"""What a step of a stream takes: ``python -m benchmarks.streaming MODEL.onnx [DATA.npz]``.

Executed instructions on two emulated cores and the bytes of the state, of the network as a stream
of one frame a step. The targets beside them are for the streaming wakeword of MLPerf Tiny. Without
data it is the stream of its samples, a hop a step: features (``mlperf_sww``) and network; it is
calibrated on seeded sound, for instructions do not hang on values.
"""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import mcuq
from benchmarks.made.speech import words
from mcuq.config import parse
from mcuq.features import RECIPES
from mcuq.importers.source import import_model

TARGETS = {"cortex-m4": 60_000, "cortex-m55": 20_000}
FROM_SAMPLES = {"cortex-m4": 200_000}
RECIPE = "mlperf_sww"


def main() -> None:
    """One line for each core."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    for core, target in (TARGETS if len(sys.argv) == 3 else FROM_SAMPLES).items():
        made = _frames(core, *sys.argv[1:]) if len(sys.argv) == 3 else _samples(core, sys.argv[1])
        found = made.bench(core)
        stream = made.report.stream
        kept = stream.state if stream else 0
        print(
            f"{core}: {found.worst:,} instructions a step (target {target:,}), {kept:,} B of state"
        )


def _frames(core: str, model: str, data: str) -> mcuq.Model:
    return mcuq.compile(model, None, data, board=core, effort="fast", stream="frames=1")


def _samples(core: str, path: str) -> mcuq.Model:
    made, port = RECIPES[RECIPE], import_model(path, None).graph.inputs[0]
    said = {"input": {port.name: {"kind": "pcm16", "features": RECIPE}}}
    sound = words(24, made.samples(prod(port.shape) // made.count))
    options: Any = {"config": parse(said, RECIPE), "effort": "fast", "stream": f"frames={made.hop}"}
    return mcuq.compile(path, None, sound, board=core, **options)


if __name__ == "__main__":
    main()
