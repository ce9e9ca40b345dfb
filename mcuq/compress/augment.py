"""Random copies of images: what shows the same thing to a person should do so to the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuq.ir import Array


@dataclass(frozen=True)
class Augment:
    """``flip``: half of the images are mirrored left to right. ``shift``: they move by at most so
    many pixels in each direction; what comes in is the repeated edge.
    """

    flip: bool = False
    shift: int = 0

    def __call__(self, feeds: Mapping[str, Array], chance: np.random.Generator) -> dict[str, Array]:
        """``feeds`` with every image input changed, all inputs of a row in the same way."""
        rows = len(next(iter(feeds.values())))
        moves = chance.integers(-self.shift, self.shift + 1, (2, rows, 1))
        mirrored = (chance.random((rows, 1)) < 0.5) & self.flip
        return {n: _moved(v, moves, mirrored) if v.ndim == 4 else v for n, v in feeds.items()}


def _moved(images: Array, moves: Array, mirrored: Array) -> Array:
    """(N, H, W, C) images, each moved by its (down, right) and maybe mirrored."""
    count, height, width, _ = images.shape
    row = np.clip(np.arange(height) - moves[0], 0, height - 1)
    column = np.clip(np.arange(width) - moves[1], 0, width - 1)
    column = np.where(mirrored, column[:, ::-1], column)
    found: Array = images[np.arange(count)[:, None, None], row[:, :, None], column[:, None, :]]
    return found
