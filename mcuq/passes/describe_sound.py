"""Describes an input whose firmware has samples of sound, 16 bits each.

A network that reads sound itself gets ``samples / std``; one that reads features gets them made of
the samples: by a node in front of it, whose frames are those of the network's own input. The port
then takes the samples that these frames need, and data files hold such samples, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from mcuq.errors import ModelError
from mcuq.features import Features, statistics
from mcuq.features import node as nodes
from mcuq.features.statistics import Statistics
from mcuq.ir import Array, Graph, Node, Port, Shape, Tensor, rebuild, to_memory, unique_name
from mcuq.ops import spec
from mcuq.ops.spec import NO_CLIP
from mcuq.passes.describe_input import FAR, port_named, with_port
from mcuq.passes.rewrite import reading
from mcuq.reference import run_float


def describe_sound(
    graph: Graph, name: str, std: Sequence[float], features: Features | Statistics | None
) -> Graph:
    """``graph`` whose input ``name`` takes samples; ``features``: what it reads of them."""
    port = port_named(graph, name)
    where = f"{graph.name}: input '{name}'"
    if port.kind != "s8":
        raise ModelError(where, "is described twice", "Describe it once")
    if features is None:
        return _scaled(graph, port, std, where)
    if isinstance(features, Statistics):
        return _with_statistics(graph, port, features, where)
    return _with_features(graph, port, features, where)


def model_input(graph: Graph, port: Port, own: Port, own_shape: Shape, samples: Array) -> Array:
    """(N, S) samples at ``port`` of a described ``graph`` -> what ``own`` reads, the model's."""
    made = next(n for n in graph.nodes if port.tensor in n.inputs)
    if spec(made.op).keeps is not None:  # filters, whose samples the features are made of
        (made,) = graph.consumers(made.output)
    found = run_float(graph, {port.name: samples.astype(np.float32)}, {made.output})[made.output]
    placed = arranged(found.shape[1:], own.shape)
    assert placed is not None
    values = found.reshape(len(found), -1)[:, placed].reshape(-1, *own.shape[1:])
    return to_memory(own, own_shape, values)


def _scaled(graph: Graph, port: Port, std: Sequence[float], where: str) -> Graph:
    """The samples themselves, times 1 / std."""
    if len(std) != 1 or not 1 / FAR < std[0] < FAR:
        raise ModelError(
            where, f"std is not one number below {FAR:.0e}, above 0", "Leave it out: it is 32768"
        )
    name = unique_name(graph.tensors, f"{port.tensor}.real")
    factor = unique_name(graph.tensors, f"{port.tensor}.scale")
    shape = graph.shape(port.tensor)
    tensors = {
        **graph.tensors,
        name: Tensor(name, shape),
        factor: Tensor(factor, (1,) * len(shape), np.full((1,) * len(shape), 1 / std[0], "f4")),
    }
    product = Node("mul", name, (port.tensor, factor), (name,), {"clip": NO_CLIP})
    nodes_ = [product, *(reading(n, port.tensor, name) for n in graph.nodes)]
    said = replace(port, kind="s16", scale=(1 / std[0],), offset=(0.0,))
    return rebuild(with_port(graph, said), nodes_, tensors)


def _with_features(graph: Graph, port: Port, made: Features, where: str) -> Graph:
    """A node of features before everything else."""
    frames = prod(port.shape) // made.count
    placed = _placed(made, frames, port, where)
    samples = unique_name(graph.tensors, f"{port.tensor}.samples")
    output = unique_name(graph.tensors, f"{port.tensor}.features")
    data = nodes.named(nodes.constants(made), output)
    tensors = {**graph.tensors, samples: Tensor(samples, (1, made.samples(frames)))}
    tensors |= {key: Tensor.of(key, values) for key, values in data.items()}
    tensors[output] = Tensor(output, (1, frames, made.count))
    node = nodes.node(made, output, (samples, *data), output, frames)
    chain = _arrange(graph, port, placed, tensors, output, where)
    return _reading(graph, port, samples, tensors, [node, *chain])


def _with_statistics(graph: Graph, port: Port, made: Statistics, where: str) -> Graph:
    """A node of statistics before everything else; the channels of a sample lie side by side."""
    windows = prod(port.shape) // made.count
    placed = _placed(made, windows, port, where)
    samples = unique_name(graph.tensors, f"{port.tensor}.samples")
    output = unique_name(graph.tensors, f"{port.tensor}.features")
    shape = (1, made.samples(windows), *([made.channels] if made.channels > 1 else []))
    tensors = {**graph.tensors, samples: Tensor(samples, shape)}
    tensors[output] = Tensor(output, (1, windows, made.count))
    before, source = [], samples
    if made.sections:
        source = unique_name(tensors, f"{port.tensor}.filtered")
        tensors[source] = Tensor(source, shape)
        before.append(statistics.filters(made, source, samples, source))
    before.append(statistics.node(made, output, source, output, windows))
    chain = _arrange(graph, port, placed, tensors, output, where)
    return _reading(graph, port, samples, tensors, [*before, *chain])


def _placed(made: Features | Statistics, frames: int, port: Port, where: str) -> Array:
    """Where each element of the port lies among the features."""
    placed = arranged((frames, made.count), port.shape)
    if placed is None:
        reason = f"{made.count} features a frame do not make its shape {port.shape}"
        remedy = "Its axes are frames and features, in either order, and sizes of 1"
        raise ModelError(where, reason, remedy)
    return placed


def _reading(
    graph: Graph, port: Port, samples: str, tensors: Mapping[str, Tensor], before: Sequence[Node]
) -> Graph:
    """``graph`` whose port takes ``samples``, of which ``before`` makes its input."""
    shape = tensors[samples].shape
    said = replace(
        port, tensor=samples, shape=shape, order=None, kind="s16", scale=(1.0,), offset=(0.0,)
    )
    return rebuild(with_port(graph, said), [*before, *graph.nodes], tensors)


def arranged(features: Shape, shape: Shape) -> Array | None:
    """Where each element of an input of ``shape``, in its own order, lies among the features.

    ``features``: (frames, count). The input has these axes in either order, or all in one.
    """
    frames, count = features
    places = np.arange(frames * count)
    sizes = tuple(size for size in shape if size > 1)
    wanted = tuple(size for size in (frames, count) if size > 1)
    if sizes == wanted or sizes == (frames * count,):
        return places
    if sizes == wanted[::-1]:
        return places.reshape(frames, count).T.reshape(-1)
    return None


def _arrange(
    graph: Graph, port: Port, placed: Array, tensors: dict[str, Tensor], source: str, where: str
) -> list[Node]:
    """The nodes that bring the features to the memory of the network's input."""
    shape = graph.shape(port.tensor)
    wanted = np.empty_like(placed)
    wanted[port.places] = placed
    chain, frames, count = [], *tensors[source].shape[1:]
    if not np.array_equal(wanted, np.arange(len(placed))):
        if not np.array_equal(wanted, np.arange(len(placed)).reshape(frames, count).T.reshape(-1)):
            raise ModelError(where, "the network reads it in another order", "Leave features out")
        turned = unique_name(tensors, f"{source}.turned")
        tensors[turned] = Tensor(turned, (1, count, frames))
        chain.append(Node("transpose", turned, (source,), (turned,), {"perm": (0, 2, 1)}))
        source = turned
    chain.append(Node("reshape", port.tensor, (source,), (port.tensor,), {"shape": shape}))
    return chain
