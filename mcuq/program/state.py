"""Where a stream's states lie in the bytes that its caller keeps."""

from __future__ import annotations

from mcuq.ir import state_ports
from mcuq.program.plan import align
from mcuq.qir import QGraph


def state_places(qgraph: QGraph) -> dict[str, int]:
    """The byte at which each state begins, by the name of the port that reads it."""
    found, at = {}, 0
    for state, read, _ in state_ports(qgraph):
        found[state.read] = at
        at += align(qgraph.tensors[read.tensor].bytes)
    return found


def state_bytes(qgraph: QGraph) -> int:
    """The bytes of all states; 0 without any."""
    return sum(align(qgraph.tensors[read.tensor].bytes) for _, read, _ in state_ports(qgraph))
