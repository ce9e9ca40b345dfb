"""Random copies of images: what shows the same thing to a person should do so to the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuq.data.rows import rows_of
from mcuq.ir import Array


@dataclass(frozen=True)
class Augment:
    """``flip``: half of the images are mirrored left to right. ``shift``: they move by at most so
    many pixels in each direction; what comes in is the repeated edge. ``mix``: the second half of a
    batch gets a random rectangle of another image (CutMix, Yun et al. 2019): new images for the
    teacher to judge, whose labels no longer hold.
    """

    flip: bool = False
    shift: int = 0
    mix: bool = False

    def __call__(self, feeds: Mapping[str, Array], chance: np.random.Generator) -> dict[str, Array]:
        """``feeds`` with every image input changed, all inputs of a row in the same way."""
        rows = rows_of(feeds)
        moves = chance.integers(-self.shift, self.shift + 1, (2, rows, 1))
        mirrored = (chance.random((rows, 1)) < 0.5) & self.flip
        done = {n: _moved(v, moves, mirrored) if v.ndim == 4 else v for n, v in feeds.items()}
        if not self.mix:
            return done
        corners = np.sort(chance.random((2, rows, 2)), axis=2)
        first = self.labelled(rows)
        return {n: _mixed(v, corners, first) if v.ndim == 4 else v for n, v in done.items()}

    def labelled(self, rows: int) -> int:
        """How many of the first rows of a batch keep their labels."""
        return (rows + 1) // 2 if self.mix else rows


def _mixed(images: Array, corners: Array, first: int) -> Array:
    """(N, H, W, C) images, from ``first`` on with the rectangle ``corners`` of the one before."""
    inside = []
    for size, edges in zip(images.shape[1:3], corners, strict=True):
        at = (np.arange(size) + 0.5) / size
        inside.append((at > edges[:, :1]) & (at < edges[:, 1:]))
    chosen = inside[0][:, :, None] & inside[1][:, None, :]
    chosen[:first] = False
    return np.where(chosen[..., None], np.roll(images, 1, axis=0), images)


def _moved(images: Array, moves: Array, mirrored: Array) -> Array:
    """(N, H, W, C) images, each moved by its (down, right) and maybe mirrored."""
    count, height, width, _ = images.shape
    row = np.clip(np.arange(height) - moves[0], 0, height - 1)
    column = np.clip(np.arange(width) - moves[1], 0, width - 1)
    column = np.where(mirrored, column[:, ::-1], column)
    found: Array = images[np.arange(count)[:, None, None], row[:, :, None], column[:, None, :]]
    return found
