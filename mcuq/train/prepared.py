"""The prepared module: trained as any other, and in eval mode what the C computes."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcuq.compress.compensate import compensated
from mcuq.compress.layer import Made, Wanted, compressed_layer
from mcuq.compress.sparsity import mask_of, scores_of
from mcuq.errors import DataError
from mcuq.ir import Array, Graph, Node, from_memory, to_memory
from mcuq.ops import layout_of
from mcuq.passes import pipeline
from mcuq.qir import QGraph
from mcuq.quantize import quantize
from mcuq.quantize.rounding.layers import Moments
from mcuq.quantize.structure import weighted
from mcuq.reference import port_to_int, port_to_real, run_int
from mcuq.train.activations import Activation
from mcuq.train.matching import Held
from mcuq.train.numbers import with_numbers
from mcuq.train.options import Cluster, Prune, Quantize
from mcuq.train.program import PLACE, Evaluation
from mcuq.train.source import Source
from mcuq.train.weights import Weight


@dataclass(frozen=True, eq=False)
class Preparation:
    """What never changes: where the module comes from, and what is asked for.

    ``power``: the mean square of what each weight of a layer multiplies, by its node. ``groups``:
    the activations that share numbers; ``matched``: those that the program has a place for.
    """

    source: Source
    power: Mapping[str, Array]
    groups: tuple[tuple[str, ...], ...]
    matched: frozenset[str]
    quantize: Quantize | None
    prune: Prune | None
    cluster: Cluster | None
    freeze: int | None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of the inputs, without the batch."""
        return tuple(tuple(v.shape[1:]) for v in self.source.rows)

    def __deepcopy__(self, memo: dict[int, Any]) -> Preparation:
        return self


Behind = tuple[str | None, str]
"""The names of a BatchNorm's gain, if it has one, and of its variance."""


class Norm(nn.Module):
    """BatchNorm as the user has it; once ``frozen`` with the statistics it has."""

    def __init__(self, training: bool, momentum: float, eps: float) -> None:
        super().__init__()
        self.moving, self.momentum, self.eps = training, momentum, eps
        self.frozen = False

    def forward(
        self, x: Tensor, gain: Tensor | None, shift: Tensor | None, mean: Tensor, variance: Tensor
    ) -> Tensor:
        moving = self.moving and not self.frozen
        return nn.functional.batch_norm(
            x, mean, variance, gain, shift, moving, self.momentum, self.eps
        )


class Parts(nn.Module):
    """What ``prepare`` adds to a module: ``step`` counts the batches it was trained with."""

    step: Tensor

    def __init__(
        self,
        activations: Sequence[Activation],
        weights: Sequence[Weight],
        norms: Sequence[Norm],
        constants: Sequence[Tensor],
    ) -> None:
        super().__init__()
        self.activations = nn.ModuleList(activations)
        self.weights = nn.ModuleList(weights)
        self.norms = nn.ModuleList(norms)
        self.register_buffer("step", torch.tensor(0))
        for index, constant in enumerate(constants):
            self.register_buffer(f"constant_{index}", constant, persistent=False)


class Prepared(nn.Module):
    """The user's parameters and buffers under their own names, and ``mcuq`` beside them.

    In training mode it rounds as the integers will, in float32, with gradients through it. In eval
    mode its outputs are those of the C, bit for bit, as reals: it is imported, quantized and run in
    integers on the processor, whenever the numbers have changed.
    """

    def __init__(
        self,
        plan: Preparation,
        parts: Parts,
        norms: Mapping[int, Behind],
        biases: Mapping[int, str],
    ) -> None:
        super().__init__()
        own = copy.deepcopy(plan.source.own)
        self._parameters.update(own._parameters)
        self._buffers.update(own._buffers)
        self._modules.update(own._modules)
        self._non_persistent_buffers_set.update(own._non_persistent_buffers_set)
        self.mcuq = parts
        self.plan, self._behind, self._biases = plan, dict(norms), dict(biases)
        self._known: tuple[int, QGraph] | None = None
        code: dict[str, Any] = {}
        made = plan.source.program.graph.python_code("self")
        exec(compile(made.src, "<mcuq.train>", "exec"), made.globals, code)
        self._run = code["forward"]
        self.register_load_state_dict_post_hook(_accept_plain)  # type: ignore[no-untyped-call]
        self.train()

    def forward(self, *inputs: Tensor) -> Any:
        self._check(inputs)
        program = self.plan.source.program
        if self.training:
            self._begin_step()
            return program.pack(self._run(self, *inputs))
        if self.plan.quantize is None:
            with torch.no_grad():
                return program.pack(Evaluation(self, program.graph).run(*inputs))
        found = self.integers(*inputs)
        outputs = [
            from_memory(port, port_to_real(port, found[port.name]))
            for port in self.integer_graph().outputs
        ]
        device = inputs[0].device
        return program.pack(
            [torch.from_numpy(values.astype(np.float32)).to(device) for values in outputs]
        )

    def integers(self, *inputs: Tensor) -> dict[str, Array]:
        """The outputs by name as the C has them, (N, ...) in its own order."""
        self._check(inputs)
        qgraph = self.integer_graph()
        feeds = {}
        names = [given.name for given in self.plan.source.template.first.model.inputs]
        given = dict(zip(names, inputs, strict=True))
        for port in qgraph.inputs:
            rows = given[port.name].detach().cpu().numpy()
            shape = qgraph.tensors[port.tensor].shape
            feeds[port.name] = port_to_int(port, to_memory(port, shape, rows))
        found = run_int(qgraph, feeds, {port.tensor for port in qgraph.outputs})
        return {port.name: found[port.tensor] for port in qgraph.outputs}

    def integer_graph(self) -> QGraph:
        """The network in integers, as ``mcuq.compile`` makes it of ``finish``."""
        state = zlib.crc32(b"".join(v.tobytes() for v in self._numpy().values()))
        if self._known is None or self._known[0] != state:
            self._known = state, quantize(pipeline.run(self.finished()), {})
        return self._known[1]

    def finished(self) -> Graph:
        """The float network with the numbers of its integers (``finish``)."""
        plan = self.plan
        graph = self._imported(self._masked())
        coded = {
            held.constant: layer.in_graph(self._folded(layer, held))
            for layer, held in self.layers()
            if layer.is_coded
        }
        if plan.quantize is None:
            return _with_constants(graph, coded)
        acts = {
            name: activation.act(name)
            for group, activation in zip(plan.groups, self._activations(), strict=True)
            for name in group
            if name in graph.tensors and (name in plan.matched or not activation.moves)
        }
        return with_numbers(_with_constants(graph, coded), acts, plan.source.feeds, plan.quantize)

    def _activations(self) -> list[Activation]:
        return [a for a in self.mcuq.activations if isinstance(a, Activation)]

    def plain(self) -> nn.Module:
        """The user's own module, with the numbers it has now."""
        own = copy.deepcopy(self.plan.source.own)
        mine = {n: v for n, v in self.state_dict().items() if not n.startswith(f"{PLACE}.")}
        own.load_state_dict(mine)
        return own

    def layers(self) -> list[tuple[Weight, Held]]:
        """What rounds the weights of each layer, and which these are."""
        weights = [w for w in self.mcuq.weights if isinstance(w, Weight)]
        return list(zip(weights, self.plan.source.held, strict=True))

    def _numpy(self) -> dict[str, Array]:
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}

    def _masked(self) -> dict[str, Array]:
        """The user's parameters with the zeros of the masks."""
        state = self._numpy()
        for layer, held in self.layers():
            parameter = self.get_parameter(held.parameter)
            state[held.parameter] = layer.masked(parameter).detach().cpu().numpy()
        return {name: values for name, values in state.items() if not name.startswith(f"{PLACE}.")}

    def set_factors(self) -> None:
        """See what the network does to each weight besides BatchNorm, such as scaling its input."""
        for layer, held in self.layers():
            wanted = self.plan.source.ready.data(held.constant).reshape(-1)
            found = layer.in_graph(self._folded(layer, held)).reshape(-1)
            if not np.allclose(found, wanted, rtol=1e-4, atol=1e-6 * np.abs(wanted).max()):
                layer.set_factor(wanted / np.where(found == 0, 1.0, found))

    def _folded(self, layer: Weight, held: Held) -> Tensor:
        """The weights of a layer as the chip has them, before rounding."""
        with torch.no_grad():
            return layer.folded(self.get_parameter(held.parameter).detach(), *self._norm_of(held))

    def _norm_of(self, held: Held) -> tuple[Tensor | None, Tensor | None]:
        """Gain and variance of the BatchNorm behind a layer."""
        gain, variance = self._behind.get(self.plan.source.held.index(held), (None, None))
        return (
            None if gain is None else self.get_parameter(gain).detach(),
            None if variance is None else self.get_buffer(variance),
        )

    def _check(self, inputs: Sequence[Tensor]) -> None:
        found = tuple(tuple(x.shape[1:]) for x in inputs)
        if found != self.plan.shapes:
            wanted, given = (_shown(shapes) for shapes in (self.plan.shapes, found))
            reason = f"was prepared for inputs of shape {wanted}, not {given}"
            raise DataError(
                self.plan.source.ready.name, reason, "Prepare it with an example of that shape"
            )

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _begin_step(self) -> None:
        """What is due at this step: masks, tables, the freeze."""
        plan, step = self.plan, int(self.mcuq.step)
        frozen = plan.freeze is not None and step >= plan.freeze
        for activation in self._activations():
            activation.watching = not frozen
        for norm in self.mcuq.norms:
            if isinstance(norm, Norm):
                norm.frozen = frozen
        share = None if plan.prune is None else plan.prune.share(step)
        begins = plan.cluster is not None and step == plan.cluster.begin
        for layer, held in self.layers():
            layer.learns = not frozen
            if share is not None and layer.methods.zeros is not None:
                self._prune(layer, held, share)
        if begins:
            self._cluster()
        self.mcuq.step += 1

    def _prune(self, layer: Weight, held: Held, share: float) -> None:
        pattern = layer.methods.zeros
        if pattern is None or (pattern.kind == "n:m" and share < 1):
            return
        layer.mask.fill_(True)
        weights = layer.in_graph(self._folded(layer, held))
        scores = scores_of(weights, self.plan.power[held.node.name], layout_of(held.node).outputs)
        amount = pattern.amount * share
        layer.set_mask(mask_of(scores, replace(pattern, amount=amount)))

    def prune_again(self) -> None:
        """Choose the zeros anew, as many as there are to be by now."""
        plan, step = self.plan, int(self.mcuq.step)
        share = None if plan.prune is None else plan.prune.reached(step)
        for layer, held in self.layers():
            if share is not None and layer.methods.zeros is not None:
                self._prune(layer, held, share)

    def _cluster(self) -> None:
        """Give layers tables, and weights and biases that make up for what these cost.

        As compression does: the errors of one layer are known to the next (``compensate``).
        """
        graph = self._imported(self._masked())
        found = {h.node.name: (w, h) for w, h in self.layers() if w.methods.codes is not None}
        made: dict[str, Made] = {}

        def change(node: Node, known: Moments | None) -> Mapping[str, Array]:
            if node.name not in found or node.name in made:
                return {}
            layer, _ = found[node.name]
            mask = layer.in_graph(layer.mask) if layer.methods.zeros is not None else None
            wanted = Wanted(mask, layer.methods.codes, self.plan.power[node.name])
            done = made[node.name] = compressed_layer(graph, node, wanted, known)
            return {node.inputs[1]: done.weights, node.inputs[2]: done.bias}

        if self.plan.source.enough:
            compensated(graph, self.plan.source.feeds, change)
        for node in weighted(graph):  # what is too deep for that, or all with few rows
            change(node, None)
        for name, done in made.items():
            self._start(*found[name], done)
        self._start_biases({found[name][1]: done.bias for name, done in made.items()})

    def _start(self, layer: Weight, held: Held, made: Made) -> None:
        """Take a table, and the weights that have its values."""
        if made.table is None:
            raise TypeError(f"{held.node.name} has no table")
        layer.set_table(made.table)
        parameter = self.get_parameter(held.parameter)
        with torch.no_grad():
            parameter.copy_(layer.start_of(parameter, made.weights, *self._norm_of(held)))

    def _start_biases(self, wanted: Mapping[Held, Array]) -> None:
        """Move parameters so that the network has ``wanted`` biases, which hang on weights, too."""
        state = self._masked()
        more = {name: state[name] + 1 for name in self._biases.values()}
        graph, grown = self._imported(state), self._imported({**state, **more})
        constants = {node.name: node.inputs[2] for node in weighted(graph)}
        for held, bias in wanted.items():
            name = self._biases.get(self.plan.source.held.index(held))
            before, after = (g.data(constants[held.node.name]) for g in (graph, grown))
            if name is not None and state[name].shape == bias.shape and (after != before).all():
                moved = torch.from_numpy((bias - before) / (after - before))
                with torch.no_grad():
                    parameter = self.get_parameter(name)
                    parameter.add_(moved.to(parameter))

    def _imported(self, state: Mapping[str, Array]) -> Graph:
        return pipeline.run(self.plan.source.template.imported(state).graph)


def _accept_plain(module: nn.Module, found: Any) -> None:
    """A state of the user's own module is loaded without complaint."""
    if all(key.startswith(f"{PLACE}.") for key in found.missing_keys):
        found.missing_keys.clear()


def _with_constants(graph: Graph, data: Mapping[str, Array]) -> Graph:
    tensors = {n: replace(graph.tensors[n], data=values) for n, values in data.items()}
    return replace(graph, tensors={**graph.tensors, **tensors})


def _shown(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(str(("N", *shape)).replace("'", "") for shape in shapes)
