"""Describes how an input reaches the firmware: as raw bytes, and in which order.

With kind "u8" the network's input tensor holds the bytes 0..255 of the sensor; their meaning
``real = (byte - mean) / std`` is folded into the weights of the first layers, so it costs nothing
at run time, and padding writes the byte that means 0. The firmware passes the bytes as H x W x C;
data files for calibration and evaluation keep the order of the model itself. With layout "nchw"
the firmware passes C x H x W instead, and a transpose is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from mcuq.errors import ModelError, closest
from mcuq.ir import Array, Graph, Node, Port, Tensor, rebuild, unique_name
from mcuq.ops import has_weights, is_view, layout_of
from mcuq.passes.fold_batch_norm import meaning, weights_after
from mcuq.passes.join_affine import join_affine
from mcuq.passes.rewrite import bypass, named, reading, sole_consumer, with_constants

KINDS = ("u8", "s8")
LAYOUTS = ("nhwc", "nchw")
Values = float | Sequence[float]
FAR = 1e30
"""What reals of bytes and samples stay below, and their steps above: float32 holds no more."""


def describe(
    graph: Graph,
    name: str,
    kind: str = "u8",
    mean: Values = 0.0,
    std: Values = 1.0,
    layout: str = "nhwc",
) -> Graph:
    """``graph`` with input ``name`` rewritten; ``mean`` and ``std`` in byte units.

    Each is one value, or one per channel. Kind "s8" keeps reals at the port and only sets the
    layout.
    """
    port = port_named(graph, name)
    where = f"{graph.name}: input '{name}'"
    _check_choice(where, "kind", kind, KINDS)
    _check_choice(where, "layout", layout, LAYOUTS)
    means, stds = _values(mean), _values(std)
    if kind == "s8":
        if any(means) or set(stds) != {1.0}:
            raise ModelError(where, "mean and std describe bytes", "Set kind to u8")
        return _channels_first(graph, port) if layout == "nchw" else graph
    if port.kind == "u8":
        raise ModelError(where, "is described twice", "Describe it once")
    graph = _channels_last(graph, port)
    channels = graph.shape(port.tensor)[-1]
    for key, values in (("mean", means), ("std", stds)):
        if len(values) not in (1, channels) or not bool(np.isfinite(values).all()):
            reason = f"{key} has {len(values)} values for {channels} channels, or is not finite"
            raise ModelError(where, reason, "Give one value, or one per channel")
    if min(stds) <= 0:
        raise ModelError(where, "std is not above 0", "Give the standard deviation in bytes")
    if len(means) != len(stds):  # one of both holds for all channels
        means, stds = (v if len(v) == channels else v * channels for v in (means, stds))
    scale, shift = _reals(where, means, stds, channels)
    graph = _fold(graph, port.tensor, scale, shift)
    described = replace(
        port_named(graph, name), kind="u8", scale=tuple(1.0 / s for s in stds), offset=means
    )
    graph = with_port(graph, described)
    return _channels_first(graph, described) if layout == "nchw" else graph


def _reals(
    where: str, means: Sequence[float], stds: Sequence[float], channels: int
) -> tuple[Array, Array]:
    """(channels,) factors and terms that make reals of bytes, none too large or small for one."""
    with np.errstate(over="ignore", invalid="ignore"):
        scale = 1.0 / np.broadcast_to(stds, (channels,))
        shift = -np.broadcast_to(means, (channels,)) * scale
    if scale.min() < 1 / FAR or max(scale.max(), np.abs(shift).max()) > FAR:
        reason = f"mean and std make reals beyond {FAR:.0e} of bytes, or all alike"
        raise ModelError(where, reason, "Give both in the units of the bytes, such as 127.5")
    return scale, shift


def port_named(graph: Graph, name: str) -> Port:
    names = [port.name for port in graph.inputs]
    if name not in names:
        remedy = closest(name, names, f"Inputs: {', '.join(names)}")
        raise ModelError(graph.name, f"has no input '{name}'", remedy)
    return graph.inputs[names.index(name)]


def _check_choice(where: str, key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ModelError(where, f"unknown {key} '{value}'", f"Use {' or '.join(allowed)}")


def _values(given: Values) -> tuple[float, ...]:
    listed = np.asarray(given, np.float64).reshape(-1)
    return tuple(float(v) for v in listed)


def with_port(graph: Graph, port: Port) -> Graph:
    ports = tuple(port if p.name == port.name else p for p in graph.inputs)
    return replace(graph, inputs=ports)


def _channels_last(graph: Graph, port: Port) -> Graph:
    """``graph`` with an image input as (1, H, W, C), whatever its readers want."""
    shape = graph.shape(port.tensor)
    if len(port.shape) != 4 or (len(shape) == 4 and _is_image(port, shape)):
        return graph
    _, channels, height, width = port.shape
    places = np.arange(prod(port.shape)).reshape(height, width, channels)
    order = places.transpose(2, 0, 1).reshape(-1)
    if not np.array_equal(port.places, np.arange(len(order))):
        raise ModelError(
            f"{graph.name}: input '{port.name}'",
            "the network reads it in an order that is neither H x W x C nor C x H x W",
            "Leave the input undescribed",
        )
    old = unique_name(graph.tensors, f"{port.tensor}.planes")
    cut = unique_name(graph.tensors, f"{port.tensor}.transposed")
    nodes = [
        Node("transpose", cut, (port.tensor,), (cut,), {"perm": (0, 3, 1, 2)}),
        Node("reshape", old, (cut,), (old,), {"shape": shape}),
        *(reading(node, port.tensor, old) for node in graph.nodes),
    ]
    tensors = {
        **graph.tensors,
        port.tensor: Tensor(port.tensor, (1, height, width, channels)),
        cut: Tensor(cut, port.shape),
        old: Tensor(old, shape),
    }
    return rebuild(with_port(graph, replace(port, order=order)), nodes, tensors)


def _is_image(port: Port, shape: tuple[int, ...]) -> bool:
    """Whether memory is (H, W, C): the user's own order if that is NHWC, or his NCHW turned."""
    if np.array_equal(port.places, np.arange(prod(shape))):
        return shape == port.shape or prod(shape[1:3]) == 1 or shape[3] == 1
    turned = np.arange(prod(shape)).reshape(shape[1:]).transpose(2, 0, 1).reshape(-1)
    return np.array_equal(port.places, turned)


def _fold(graph: Graph, tensor: str, scale: Array, shift: Array) -> Graph:
    """``graph`` reading x at ``tensor`` where it read ``x * scale + shift``."""
    graph = join_affine(graph)
    norm = sole_consumer(graph, tensor)
    while norm is not None and norm.op == "batch_norm":
        shorter = bypass(graph, norm)
        if shorter is None:
            break
        factor, offset = (graph.data(n).astype(np.float64) for n in norm.inputs[1:])
        scale, shift = scale * factor, shift * factor + offset
        graph, norm = shorter, sole_consumer(shorter, tensor)
    if (
        not scale.all()
        or graph.is_output(tensor)
        or not all(_takes(graph, node, tensor, len(scale)) for node in graph.consumers(tensor))
    ):
        return _with_norm(graph, tensor, scale, shift)
    for node in graph.consumers(tensor):
        graph = _folded(graph, node, scale, shift)
    return graph


def _takes(graph: Graph, node: Node, tensor: str, channels: int) -> bool:
    """Whether the node, or what reads it through views and pads, can absorb the conversion."""
    if has_weights(node):
        return node.inputs[0] == tensor and tensor not in node.inputs[1:]
    if not (is_view(node) or node.op == "pad") or graph.is_output(node.output):
        return False
    if node.op == "pad" and tuple(node.attrs["pads"][-1]) != (0, 0):
        return False
    readers = graph.consumers(node.output)
    keeps = graph.shape(node.output)[-1] == channels
    vectors = all(has_weights(r) and not layout_of(r).taps for r in readers)
    return (keeps or vectors) and all(_takes(graph, r, node.output, channels) for r in readers)


def _folded(graph: Graph, node: Node, scale: Array, shift: Array) -> Graph:
    if is_view(node):
        for reader in graph.consumers(node.output):
            graph = _folded(graph, reader, scale, shift)
        return graph
    if node.op == "pad":
        value = meaning(node.attrs["value"], scale, shift)
        graph = _replaced(graph, node, node.with_attrs(value=value), {})
        for reader in graph.consumers(node.output):
            graph = _folded(graph, reader, scale, shift)
        return graph
    weights, bias = weights_after(graph, node, scale, shift)
    changed, made = with_constants(graph, node, {1: weights, 2: bias})
    if any(node.attrs.get("pads", ())):
        value = meaning(node.attrs["pad_value"], scale, shift)
        changed = changed.with_attrs(pad_value=value)
    return _replaced(graph, node, changed, named(made))


def _replaced(graph: Graph, old: Node, new: Node, added: dict[str, Tensor]) -> Graph:
    nodes = [new if node is old else node for node in graph.nodes]
    return rebuild(graph, nodes, {**graph.tensors, **added})


def _with_norm(graph: Graph, tensor: str, scale: Array, shift: Array) -> Graph:
    """A batch_norm between the input and its readers; the other passes make it a 1x1 layer."""
    name = unique_name(graph.tensors, f"{tensor}.real")
    tensors = {**graph.tensors, name: Tensor(name, graph.shape(tensor))}
    inputs = [tensor]
    for part, values in (("scale", scale), ("shift", shift)):
        made = unique_name(tensors, f"{name}.{part}")
        tensors[made] = Tensor.of(made, np.ascontiguousarray(values, np.float32))
        inputs.append(made)
    norm = Node("batch_norm", name, tuple(inputs), (name,))
    nodes = [norm, *(reading(node, tensor, name) for node in graph.nodes)]
    ports = tuple(replace(p, tensor=name) if p.tensor == tensor else p for p in graph.outputs)
    return rebuild(replace(graph, outputs=ports), nodes, tensors)


def _channels_first(graph: Graph, port: Port) -> Graph:
    """``graph`` whose input is (1, C, H, W) in memory, then transposed to (1, H, W, C)."""
    shape = graph.shape(port.tensor)
    if len(port.shape) != 4 or len(shape) != 4 or not _is_image(port, shape):
        reason = "layout nchw is for images (N, C, H, W)"
        raise ModelError(f"{graph.name}: input '{port.name}'", reason, "Leave layout out")
    _, height, width, channels = shape
    pixel, channel = port.places // channels, port.places % channels
    order = channel * (height * width) + pixel
    name = unique_name(graph.tensors, f"{port.tensor}.nhwc")
    node = Node("transpose", name, (port.tensor,), (name,), {"perm": (0, 2, 3, 1)})
    tensors = {
        **graph.tensors,
        port.tensor: Tensor(port.tensor, (1, channels, height, width)),
        name: Tensor(name, shape),
    }
    nodes = [node, *(reading(n, port.tensor, name) for n in graph.nodes)]
    return rebuild(with_port(graph, replace(port, order=order)), nodes, tensors)
