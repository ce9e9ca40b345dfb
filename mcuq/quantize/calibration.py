"""The data that a network is quantized with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcuq.data import feeds as data
from mcuq.data.batches import Plain
from mcuq.errors import DataError
from mcuq.ir import Array, Graph

if TYPE_CHECKING:
    pass

from mcuq.quantize import needs_calibration
from mcuq.sequences import unrolled


def calibration_feeds(given: Plain | None, graph: Graph) -> dict[str, Array]:
    """The rows that the ranges are taken from; empty where the model gives all of its numbers.

    Of a stream: the steps of the sequences, with the states that the float network has there.
    """
    if given is None and not needs_calibration(graph):
        return {}
    if given is None:
        raise DataError(
            graph.name,
            "no calibration data, without which the ranges of activations are unknown",
            "Pass --calib DATA.npz with 100 or more typical inputs",
        )
    if isinstance(given, (str, Path)):
        return unrolled(graph, data.load(given, graph))
    return unrolled(graph, data.from_arrays(given, graph))
