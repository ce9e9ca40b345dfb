"""Features as a node of a network, with its constants."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mcuq.features.recipe import FULL_SCALE, Features
from mcuq.features.windows import WINDOWS
from mcuq.ir import Array, Node
from mcuq.ops.signal import features as op

LOGS = {"ln": 1.0, "log2": 1 / math.log(2), "log10": 1 / math.log(10), "db": 10 / math.log(10)}
"""What the natural logarithm is multiplied with."""
INPUTS = ("window", "mel", "mix", "offset")


def constants(made: Features) -> dict[str, Array]:
    """window, mel, mix and offset, as the operator reads them, float32."""
    steps = LOGS[made.log] * made.scale
    mix = steps * (cosines(made) if made.cepstra else np.ones(made.bands.count))
    found = {
        "window": WINDOWS[made.window](made.frame),
        "mel": made.bands.matrix(made.rate, made.points) * made.factor,
        "mix": mix,
        "offset": np.full(made.count, made.offset),
    }
    return {key: found[key].astype(np.float32) for key in INPUTS}


def cosines(made: Features) -> Array:
    """(cepstra, bands): the first rows of a DCT-II."""
    bands = made.bands.count
    rows = np.arange(made.cepstra)[:, None]
    found: Array = math.sqrt(2 / bands) * np.cos(np.pi / bands * (np.arange(bands) + 0.5) * rows)
    if made.ortho:
        found[0] /= math.sqrt(2)
    return found


def node(made: Features, name: str, inputs: tuple[str, ...], output: str, frames: int) -> Node:
    """The node that makes ``frames`` frames of features.

    What integers cannot tell from silence is a floor in float as well.
    """
    found = Node("features", name, inputs, (output,)).with_attrs(
        hop=made.hop,
        start=0 if made.edge == "none" else (made.points - made.frame) // 2 - made.points // 2,
        frames=frames,
        points=made.points,
        edge=made.edge,
        previous=made.previous,
        root=made.power == 1,
        gain=made.full_scale / FULL_SCALE,
        preemphasis=made.preemphasis,
        centered=not made.keep_mean,
        added=made.added,
        floor=made.floor,
        clip=made.limits,
    )
    parts = constants(made)
    least = op.scale_of(found, parts["window"], parts["mel"], 0).unit
    return found.with_attrs(floor=max(made.floor, least))


def named(parts: Mapping[str, Array], name: str) -> dict[str, Array]:
    """The constants by the names of their tensors, in the order of the node's inputs."""
    return {f"{name}.{key}": parts[key] for key in INPUTS}
