"""What a step of a stream takes: ``python -m benchmarks.streaming MODEL.onnx DATA.npz``.

Executed instructions on two emulated cores and the bytes of the state, of the network as a stream
of one frame a step. The targets beside them are for the streaming wakeword of MLPerf Tiny.
"""

from __future__ import annotations

import sys

import mcuq

TARGETS = {"cortex-m4": 60_000, "cortex-m55": 20_000}


def main() -> None:
    """One line for each core."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for core, target in TARGETS.items():
        made = mcuq.compile(
            sys.argv[1], None, sys.argv[2], board=core, effort="fast", stream="frames=1"
        )
        found = made.bench(core)
        stream = made.report.stream
        kept = stream.state if stream else 0
        print(
            f"{core}: {found.worst:,} instructions a step (target {target:,}), {kept:,} B of state"
        )


if __name__ == "__main__":
    main()
