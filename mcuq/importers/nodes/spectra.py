"""Recognises features of sound: STFT, powers, bands, logarithms, DCT, as PyTorch exports them.

``torch.stft``, its magnitudes or squares, a product with a constant matrix of bands, ``clamp`` or
an added constant, a logarithm, and behind it factors, sums and one more constant matrix: all of it
is one node. Frames, window and matrices are constants of the model, so nothing is guessed. Axes of
size 1 and transpositions may lie between; a centred STFT has its Pad in front.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from mcuq.importers.nodes.builder import Refused, Value
from mcuq.importers.nodes.call import NodeCall, in_order
from mcuq.importers.standard.modern import Kind
from mcuq.importers.standard.steps import OnnxStep
from mcuq.ir import Array
from mcuq.ops.spec import NO_CLIP

_VIEWS = ("Reshape", "Unsqueeze", "Squeeze", "Identity", "Cast")
_EDGES = {"reflect": "reflect", "constant": "zero"}
_REMEDY = (
    "Take the logarithm of its power or magnitude, of bands or bins, right behind it: then it is "
    "one node of features. Or let the network take features, and describe its input (pcm16)"
)


@dataclass(frozen=True, eq=False)
class _Chain:
    """What is known so far. ``axes``: of the value at hand: frames, bins (or bands), parts, or 1.

    ``root``: None while there are parts, or their squares (``squared``).
    """

    axes: tuple[str, ...]
    squared: bool = False
    root: bool | None = None
    mel: Array | None = None
    factor: float = 1.0
    floor: float = 0.0
    added: float = 0.0
    logged: bool = False
    mix: Array | None = None
    scale: float = 1.0
    offset: Array = field(default_factory=lambda: np.zeros(1))


def fuse(
    steps: Sequence[OnnxStep],
    constants: Mapping[str, Array],
    kinds: Mapping[str, Kind],
    roots: Collection[str],
) -> list[OnnxStep]:
    """``steps`` with every chain from an STFT to behind its logarithm, at its end, as one step."""
    readers: dict[str, list[OnnxStep]] = {}
    for step in steps:
        for name in dict.fromkeys(step.inputs):
            readers.setdefault(name, []).append(step)
    makers = {name: step for step in steps for name in step.outputs}
    made: dict[str, OnnxStep] = {}
    for step in steps:
        if step.op == "STFT" and step.attrs.get("onesided", 1) == 1:
            found = _followed(step, constants, kinds, readers, set(roots))
            if found is not None:
                last, chain = found
                source, front = _front(step, constants, kinds, makers)
                attrs = {"chain": chain, **front, **_frames(step, constants, kinds)}
                made[last.outputs[0]] = replace(last, op="STFT", inputs=(source,), attrs=attrs)
    return [made.get(step.outputs[0], step) for step in steps]


def _front(
    step: OnnxStep,
    constants: Mapping[str, Array],
    kinds: Mapping[str, Kind],
    makers: Mapping[str, OnnxStep],
) -> tuple[str, dict[str, Any]]:
    """The signal itself, behind views and one Pad, and what lies around it."""
    name, front = step.inputs[0], {"before": 0, "edge": "none"}
    while True:
        maker = makers.get(name)
        if maker is not None and maker.op in _VIEWS and maker.inputs[0] in kinds:
            name = maker.inputs[0]
        elif maker is not None and maker.op == "Pad" and front["edge"] == "none":
            padded = _padded(maker, constants, kinds)
            if padded is None:
                return name, front
            name, front = maker.inputs[0], padded
        else:
            return name, front


def _padded(
    step: OnnxStep, constants: Mapping[str, Array], kinds: Mapping[str, Kind]
) -> dict[str, Any] | None:
    """Samples before the signal, if only its own axis is padded, with zeros or its mirror."""
    pads, mode = constants.get(step.inputs[1]), step.attrs.get("mode", "constant")
    plain = len(step.inputs) < 4 or not step.inputs[3]
    filled = constants.get(step.inputs[2]) if len(step.inputs) > 2 and step.inputs[2] else None
    if pads is None or mode not in _EDGES or not plain or (filled is not None and filled.any()):
        return None
    ends = np.reshape(pads, (2, -1))
    if ends[:, :-1].any() or kinds[step.inputs[0]].shape[-1] != prod(kinds[step.inputs[0]].shape):
        return None
    return {"before": int(ends[0, -1]), "edge": _EDGES[mode]}


def _frames(
    step: OnnxStep, constants: Mapping[str, Array], kinds: Mapping[str, Kind]
) -> dict[str, Any]:
    """Hop, window and number of frames of an STFT."""
    hop = constants.get(step.inputs[1])
    window = constants.get(step.inputs[2]) if len(step.inputs) > 2 and step.inputs[2] else None
    given = constants.get(step.inputs[3]) if len(step.inputs) > 3 and step.inputs[3] else None
    frames, bins = kinds[step.outputs[0]].shape[1:3]
    points = int(given.reshape(())) if given is not None else 2 * (bins - 1)
    return {
        "hop": None if hop is None else int(hop.reshape(())),
        "window": np.ones(points) if window is None else window.reshape(-1),
        "points": points,
        "frames": frames,
    }


def _followed(
    step: OnnxStep,
    constants: Mapping[str, Array],
    kinds: Mapping[str, Kind],
    readers: Mapping[str, Sequence[OnnxStep]],
    roots: set[str],
) -> tuple[OnnxStep, _Chain] | None:
    """The last step that belongs to the features, and what they are; None without a logarithm."""
    if step.outputs[0] not in kinds or kinds[step.outputs[0]].shape[:1] != (1,):
        return None
    chain, at, found = _Chain(("1", "frames", "bins", "parts")), step, None
    while at.outputs[0] not in roots and len(readers.get(at.outputs[0], ())) == 1:
        (after,) = readers[at.outputs[0]]
        longer = _extended(chain, at.outputs[0], after, constants, kinds)
        if longer is None:
            break
        chain, at = longer, after
        if chain.logged:
            found = at, chain
    return found


def _extended(
    chain: _Chain,
    name: str,
    step: OnnxStep,
    constants: Mapping[str, Array],
    kinds: Mapping[str, Kind],
) -> _Chain | None:
    """``chain`` with one more step behind the value ``name``; None if it is no part of it."""
    others = [constants.get(n) for n in step.inputs if n != name and n]
    if step.op == "Transpose":
        perm = step.attrs.get("perm", tuple(range(len(chain.axes)))[::-1])
        return replace(chain, axes=tuple(chain.axes[int(a)] for a in perm))
    if step.op in _VIEWS:
        if step.outputs[0] not in kinds:  # shapes that do not fit: their handler says so
            return None
        return _viewed(chain, kinds[step.outputs[0]].shape, kinds[name].shape)
    if "parts" in chain.axes:
        return _joined(chain, step, others, kinds)
    if any(other is None for other in others):
        return None
    given = [np.asarray(other, np.float64) for other in others if other is not None]
    if step.op == "MatMul":
        return _multiplied(chain, given[0], step.inputs[0] == name)
    one = float(given[0].reshape(())) if len(given) == 1 and given[0].size == 1 else None
    first = step.inputs[0] == name
    return (
        _after(chain, step.op, one, first) if chain.logged else _before(chain, step.op, one, first)
    )


def _viewed(chain: _Chain, shape: tuple[int, ...], old: tuple[int, ...]) -> _Chain | None:
    """The same axes with others of size 1 between them."""
    kept = [axis for axis, size in zip(chain.axes, old, strict=True) if axis != "1" and size > 1]
    if [size for size in shape if size > 1] != [size for size in old if size > 1]:
        return None
    waiting = iter(kept)
    return replace(chain, axes=tuple(next(waiting) if size > 1 else "1" for size in shape))


def _joined(
    chain: _Chain, step: OnnxStep, others: Sequence[Array | None], kinds: Mapping[str, Kind]
) -> _Chain | None:
    """Real and imaginary parts become a power or a magnitude."""
    squares = (step.op == "Pow" and others and _is(others[0], 2.0)) or (
        step.op == "Mul" and step.inputs[0] == step.inputs[1]
    )
    if squares:
        return None if chain.squared else replace(chain, squared=True)
    power = (step.op == "ReduceSum" and chain.squared) or (
        step.op == "ReduceSumSquare" and not chain.squared
    )
    if not power and (step.op != "ReduceL2" or chain.squared):
        return None
    given = step.attrs.get("axes", others[0] if others else None)
    place = chain.axes.index("parts")
    if given is None or [int(a) % len(chain.axes) for a in np.reshape(given, -1)] != [place]:
        return None
    kept = ("1",) if step.attrs.get("keepdims", 1) else ()
    axes = (*chain.axes[:place], *kept, *chain.axes[place + 1 :])
    return replace(chain, axes=axes, squared=False, root=not power)


def _is(other: Array | None, number: float) -> bool:
    return other is not None and other.size == 1 and float(other.reshape(())) == number


def _multiplied(chain: _Chain, matrix: Array, left: bool) -> _Chain | None:
    """A product over the bands: of the bins before the logarithm, one more behind it."""
    if matrix.ndim != 2 or len(chain.axes) < 2:
        return None
    if (
        chain.axes[-1 if left else -2] != "bins"
        or (chain.mix if chain.logged else chain.mel) is not None
    ):
        return None
    columns = matrix if left else matrix.T
    if not chain.logged:
        return replace(chain, mel=columns) if columns.min() >= 0 else None
    return replace(chain, mix=columns.T * chain.scale, scale=1.0, offset=chain.offset @ columns
                   if chain.offset.size > 1 else chain.offset * columns.sum(axis=0))  # fmt: skip


def _before(chain: _Chain, op: str, one: float | None, first: bool) -> _Chain | None:
    """A step between the power and the logarithm's end."""
    limited = chain.floor or chain.added
    if op == "Log":
        return replace(chain, logged=True)
    if op == "Sqrt" and chain.root is False and chain.mel is None and chain.factor == 1.0:
        return replace(chain, root=True)
    if one is None or limited:
        return None
    if op == "Pow" and first and chain.mel is None and chain.factor == 1.0:
        squared = one == 2.0 and chain.root
        return replace(chain, root=False) if squared else chain if one == 1.0 else None
    if op in ("Mul", "Div") and one > 0 and (op == "Mul" or first):
        return replace(chain, factor=chain.factor * (one if op == "Mul" else 1 / one))
    if op == "Add" and one >= 0:
        return replace(chain, added=one)
    return replace(chain, floor=one) if op in ("Clip", "Max") and one > 0 else None


def _after(chain: _Chain, op: str, one: float | None, first: bool) -> _Chain | None:
    """A factor or a sum behind the logarithm."""
    if one is None:
        return None
    if op == "Add":
        return replace(chain, offset=chain.offset + one)
    if op == "Sub" and first:
        return replace(chain, offset=chain.offset - one)
    if op == "Mul" or (op == "Div" and first and one):
        factor = one if op == "Mul" else 1 / one
        return replace(chain, scale=chain.scale * factor, offset=chain.offset * factor)
    return None


def features(call: NodeCall) -> Value:
    """A recognised chain as one node; an STFT of which no such features are made is refused."""
    chain = call.attrs.get("chain")
    if not isinstance(chain, _Chain) or call.attrs["hop"] is None:
        raise Refused("operator STFT without the logarithm of a power behind it", _REMEDY)
    value, points = call.value(), int(call.attrs["points"])
    window = np.asarray(call.attrs["window"], np.float64)
    kept = np.flatnonzero(window)
    if not len(kept):
        raise Refused("the window of STFT is 0 everywhere", "Give it another window")
    first, length = int(kept[0]), int(kept[-1] - kept[0]) + 1
    mel = np.eye(points // 2 + 1) if chain.mel is None else chain.mel
    mix = (np.ones(mel.shape[1]) if chain.mix is None else chain.mix) * chain.scale
    parts = {
        "window": window[first : first + length],
        "mel": mel * chain.factor,
        "mix": mix,
        "offset": np.broadcast_to(chain.offset, (len(mix),)),
    }
    label = call.outputs[0]
    names = [call.builder.constant(f"{label}.{key}", data) for key, data in parts.items()]
    source = in_order(call, value, (1, prod(value.shape)))
    tensor = call.emit(
        "features", [source, *names],
        hop=call.attrs["hop"], start=first - call.attrs["before"], frames=call.attrs["frames"],
        points=points, edge=call.attrs["edge"], previous="stream", root=bool(chain.root),
        gain=1.0, preemphasis=0.0, centered=False, added=chain.added,
        floor=chain.floor or (0.0 if chain.added else _LEAST), clip=NO_CLIP,
    )  # fmt: skip
    return _arranged(tensor, chain.axes, call.attrs["frames"], len(mix))


_LEAST = 1e-12
"""Where nothing limits a logarithm, silence does: below what samples of 16 bits hold."""


def _arranged(tensor: str, axes: tuple[str, ...], frames: int, count: int) -> Value:
    """The (frames, count) tensor with its axes in the order of the model's own value."""
    sizes = {"frames": frames, "bins": count, "1": 1}
    places = np.arange(frames * count).reshape(frames, count)
    found = [axis for axis in axes if axis != "1"]
    view = places if found != ["bins", "frames"] else places.T
    return Value(tuple(sizes[axis] for axis in axes), tensor, view.reshape(-1))
