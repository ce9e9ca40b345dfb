"""Operators that say where values lie, as products and sums: grids, columns of images, powers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused, check_size
from mcuq.importers.standard.modern import Old, Parts
from mcuq.ir import Array

Rewrite = Callable[[Old], list[Any] | None]
MAX_EXPONENTS = 16
"""A power by more different exponents is not written out."""


def affine_grid(old: Old) -> list[Any]:
    """AffineGrid of a constant size: theta times the places of a whole image."""
    batch, _, *sizes = (int(v) for v in old.given(1).reshape(-1))
    rank = len(sizes)
    if rank not in (2, 3) or old.kind(old.input(0)).shape != (batch, rank, rank + 1):
        raise Refused(f"AffineGrid of {old.kind(old.input(0)).shape} for {rank} axes")
    check_size((batch, *sizes, rank))
    ends = bool(old.attribute("align_corners", 0))
    rulers = [_places(size, ends) for size in sizes]
    axes = np.meshgrid(*rulers, indexing="ij")[::-1]  # x first
    places = np.stack([*axes, np.ones(sizes)]).reshape(rank + 1, -1)
    parts = Parts(old)
    given = parts.constant(places.astype(np.float32), "places")
    moved = parts.add("MatMul", [old.input(0), given], "moved")
    turned = parts.add("Transpose", [moved], "turned", perm=[0, 2, 1])
    parts.name(parts.shaped(turned, (batch, *sizes, rank)), 0)
    return parts.nodes


def _places(size: int, ends: bool) -> Array:
    """From -1 to 1: of the first and last element, or of their outer edges."""
    if ends and size == 1:
        raise Refused("align_corners of one element is read in two ways", "Leave it out")
    if ends:
        return np.linspace(-1.0, 1.0, size)
    return (2.0 * np.arange(size) + 1.0) / size - 1.0


def image_of_columns(old: Old) -> list[Any]:
    """Col2Im: a ConvTranspose that lays each element of a column at its place in the window."""
    image, kernel = ([int(v) for v in old.given(i).reshape(-1)] for i in (1, 2))
    rank, taps = len(image), prod(kernel)
    strides, dilations, pads = (
        [int(v) for v in old.attribute(key, [default] * count)]
        for key, default, count in (("strides", 1, rank), ("dilations", 1, rank),
                                    ("pads", 0, 2 * rank))
    )  # fmt: skip
    batch, width, count = old.kind(old.input(0)).shape
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    inside = [i + b + e for i, b, e in zip(image, pads[:rank], pads[rank:], strict=True)]
    blocks = [(i - s) // step + 1 for i, s, step in zip(inside, spans, strides, strict=True)]
    if min(blocks) < 1 or prod(blocks) != count or width % taps:
        raise Refused(f"Col2Im of {width} x {count} for blocks of {kernel}", "Export it again")
    left = [i - (n - 1) * step - s
            for i, n, step, s in zip(inside, blocks, strides, spans, strict=True)]  # fmt: skip
    channels = width // taps
    check_size((width, taps))
    weights = np.tile(np.eye(taps, dtype=np.float32), (channels, 1))
    parts = Parts(old)
    given = parts.constant(weights.reshape(width, 1, *kernel), "taps")
    laid = parts.shaped(old.input(0), (batch, width, *blocks))
    made = parts.add(
        "ConvTranspose", [laid, given], "image", group=channels, strides=strides,
        dilations=dilations, pads=pads, output_padding=left, kernel_shape=kernel,
    )  # fmt: skip
    parts.name(made, 0)
    return parts.nodes


def powers(old: Old) -> list[Any] | None:
    """Pow with several constant exponents: the elements of each, and all of them put back."""
    exponents = old.constants.get(old.input(1))
    if exponents is None or old.input(0) in old.constants or not old.kind(old.input(0)).real:
        return None
    if exponents.size < 2 or bool((exponents == exponents.flat[0]).all()):
        return None
    shape = np.broadcast_shapes(old.kind(old.input(0)).shape, exponents.shape)
    wanted = np.broadcast_to(exponents, shape).reshape(-1)
    kinds = np.unique(wanted)
    if len(kinds) > MAX_EXPONENTS:
        raise Refused(f"Pow with {len(kinds)} exponents", f"Use {MAX_EXPONENTS} at most")
    parts = Parts(old)
    wide = parts.add("Expand", [old.input(0), parts.constant(np.array(shape), "shape")], "wide")
    row = parts.shaped(wide, (-1,))
    places = [np.flatnonzero(wanted == kind) for kind in kinds]
    made = list(_each(parts, row, places, kinds))
    whole = parts.add("Concat", made, "whole", axis=0)
    back = parts.constant(np.argsort(np.concatenate(places)).reshape(shape), "back")
    parts.name(parts.add("Gather", [whole, back], "placed"), 0)
    return parts.nodes


def _each(parts: Parts, row: str, places: list[Array], kinds: Array) -> Iterator[str]:
    for where, exponent in zip(places, kinds, strict=True):
        some = parts.add("Gather", [row, parts.constant(where, "where")], "some")
        given = parts.constant(np.float32(exponent), "exponent")
        yield parts.add("Pow", [some, given], "power")


STANDARD: dict[str, Rewrite] = {
    "AffineGrid": affine_grid,
    "Col2Im": image_of_columns,
    "Pow": powers,
}
