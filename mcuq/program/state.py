"""Where a stream's states lie in the bytes that its caller keeps."""

from __future__ import annotations

from itertools import accumulate

from mcuq.ir import state_ports
from mcuq.program.plan import align
from mcuq.qir import QGraph


def state_places(qgraph: QGraph) -> dict[str, int]:
    """The byte at which each state begins, by the name of the port that reads it."""
    sizes = _sizes(qgraph)
    return dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))


def state_bytes(qgraph: QGraph) -> int:
    """The bytes of all states; 0 without any."""
    return sum(_sizes(qgraph).values())


def _sizes(qgraph: QGraph) -> dict[str, int]:
    ports = (read for _, read, _ in state_ports(qgraph))
    return {port.name: align(qgraph.tensors[port.tensor].bytes) for port in ports}
