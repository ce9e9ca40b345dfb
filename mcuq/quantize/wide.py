"""Activations of 16 bits: which tensors have them, their scale, and the ways between the widths.

A set of tensors that share a scale can be wide if only operators that run on s16 write it. A node
with any wide activation runs on s16 altogether: the narrow ones around it are converted, without
loss on the way in. Operators that only run on s8 read a narrow copy of a wide tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mcuq.errors import McuqError
from mcuq.fixed import floor_log2
from mcuq.ir import Graph, Node, Tensor, unique_name
from mcuq.ops import OPS, spec
from mcuq.qir import QTensor, frac_of
from mcuq.quantize import given
from mcuq.quantize.state import State
from mcuq.quantize.structure import fed_back, groups, narrow, never_negative

HEADROOM = 1
"""Bits above the range that calibration has seen: 15 bits lose nothing that matters."""

FRAC_MIN, FRAC_MAX = -32, 56
SILENT_FRAC = 14
_ANY = "*"


@dataclass(frozen=True, eq=False)
class Wide(QTensor):
    """An activation of 16 bits, and the numbers of the copy that operators of 8 bits read.

    ``coarser``: by so many bits the copy's frac is lower. ``narrow_zero``: its zero.
    """

    coarser: int = 8 - HEADROOM
    narrow_zero: int = 0


def candidates(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """The sets of tensors, each of one scale, that can have 16 bits."""
    fixed = narrow(graph) | given.kept_activations(graph).keys()
    return tuple(group for group in groups(graph) if not fixed.intersection(group))


def wanted(graph: Graph, bits: Mapping[str, int]) -> frozenset[str]:
    """The tensors that get 16 bits: what operators read that take no less; named ones with their
    sets, else what ``"*"`` says.

    States that are computed from themselves have them wherever they can: errors add up there.
    """
    found: set[str] = set()
    read = {node.inputs[0] for node in graph.nodes if spec(node.op).narrows}
    back = fed_back(graph)
    for group in candidates(graph):
        named = [bits[name] for name in group if name in bits]
        usual = 16 if back.intersection(group) else bits.get(_ANY, 8)
        if max(named, default=usual) == 16 or read.intersection(group):
            found.update(group)
    return frozenset(found)


def check(graph: Graph, bits: Mapping[str, int]) -> None:
    """Refuse names that are no activations, or cannot have 16 bits."""
    able = {name for group in candidates(graph) for name in group}
    for name, count in bits.items():
        if count not in (8, 16):
            raise McuqError(f"bits of '{name}'", f"{count} is not 8 or 16")
        if name != _ANY and (name not in graph.tensors or graph.is_constant(name)):
            raise McuqError(graph.name, f"no activation '{name}' to set bits for")
        if name != _ANY and count == 16 and name not in able:
            reason = f"tensor '{name}' cannot have 16 bits"
            able_ops = ", ".join(op.name for op in OPS if op.runs_s16)
            raise McuqError(graph.name, reason, f"These operators have 16: {able_ops}")


def widened(
    state: State, acts: Mapping[str, QTensor], names: frozenset[str] | None = None
) -> dict[str, QTensor]:
    """``acts`` with 16 bits for ``names``, by default those that the options want."""
    if names is None:
        names = wanted(state.graph, state.options.bits)
    changed = dict(acts)
    for group in groups(state.graph):
        if names.intersection(group):
            peak = max(abs(bound) for name in group for bound in state.ranges[name])
            frac = next((state.options.fracs[n] for n in group if n in state.options.fracs), None)
            frac = frac_for(peak) if frac is None else frac
            for name in group:
                changed[name] = _wide(acts[name], frac)
    return changed


def _wide(act: QTensor, frac: int) -> QTensor:
    """``act`` with 16 bits; its numbers of 8 bits become those of its narrow copy."""
    made = replace(act, kind="s16", frac=frac, zero=0)
    return with_copy(made, act) if act.kind == "s8" else made


def with_copy(act: QTensor, copy: QTensor) -> Wide:
    """``act`` of 16 bits, of which operators of 8 bits read ``copy``."""
    coarser = frac_of(act) - frac_of(copy)
    return Wide(act.name, act.shape, act.kind, act.frac, act.zero, None, coarser, copy.zero)


def frac_for(peak: float) -> int:
    """The frac for magnitudes up to ``peak``.

    >>> frac_for(0.9), frac_for(1.0), frac_for(255.0)
    (14, 13, 6)
    """
    if peak <= 0.0:
        return SILENT_FRAC
    return max(FRAC_MIN, min(FRAC_MAX, floor_log2(32767 / peak) - HEADROOM))


def node_kind(node: Node, acts: Mapping[str, QTensor]) -> str:
    """The width that ``node`` runs at: that of the widest activation around it, if it can."""
    names = (*node.inputs, node.output)
    wide = spec(node.op).narrows or any(acts[name].kind == "s16" for name in names if name in acts)
    return "s16" if wide and spec(node.op).runs_s16 else "s8"


def as_kind(act: QTensor, kind: str, never: bool = False) -> QTensor:
    """``act`` as a node of another width sees it; ``never``: it is never negative."""
    if act.kind == kind or act.kind not in ("s8", "s16") or not isinstance(act.frac, int):
        return act
    if kind == "s16":
        return replace(act, kind=kind, frac=act.frac + (7 if act.zero else 8), zero=0)
    if isinstance(act, Wide):
        return QTensor(act.name, act.shape, kind, act.frac - act.coarser, act.narrow_zero)
    frac = act.frac - (7 if never else 8) + HEADROOM
    return replace(act, kind=kind, frac=frac, zero=-128 if never else 0)


def frac_at(node: Node, name: str, acts: Mapping[str, QTensor]) -> int:
    """The frac of the activation ``name`` as ``node`` sees it."""
    frac = as_kind(acts[name], node_kind(node, acts)).frac
    if not isinstance(frac, int):
        raise TypeError(f"{name} has a frac per channel")
    return frac


def lowest_weight_frac(node: Node, acts: Mapping[str, QTensor]) -> int:
    """The frac of a weighted node's weights at which its sums have the scale of its output."""
    return frac_at(node, node.output, acts) - frac_at(node, node.inputs[0], acts)


def is_converted(node: Node) -> bool:
    """Whether activations of another width are converted before ``node``, unlike indices."""
    return node.op != "clip" and not spec(node.op).reads_indices


def with_conversions(graph: Graph, acts: Mapping[str, QTensor]) -> tuple[Graph, dict[str, QTensor]]:
    """``graph`` with a ``requant`` wherever a node runs at another width than its tensors have."""
    writer = _Writer(graph, dict(acts))
    for node in graph.nodes:
        writer.add(node)
    return replace(graph, nodes=tuple(writer.nodes), tensors=writer.tensors), writer.acts


class _Writer:
    """Nodes, tensors and numbers of a graph that grows by conversions."""

    def __init__(self, graph: Graph, acts: dict[str, QTensor]) -> None:
        self.acts = acts
        self.tensors: dict[str, Tensor] = dict(graph.tensors)
        self.nodes: list[Node] = []
        self._never = never_negative(graph)
        self._made: dict[tuple[str, str], str] = {}

    def add(self, node: Node) -> None:
        """Append ``node`` with the conversions before and after it."""
        if node.op == "clip":  # which becomes a conversion itself
            self.nodes.append(node)
            return
        kind = node_kind(node, self.acts)
        if is_converted(node):
            node = replace(node, inputs=tuple(self._input(name, kind) for name in node.inputs))
        output = node.output
        if self.acts[output].kind not in (kind, "s32") and not spec(node.op).narrows:
            wide = self._new(output, kind)
            self.nodes.append(replace(node, outputs=(wide,)))
            self._convert(wide, output)
        else:
            self.nodes.append(node)

    def _input(self, name: str, kind: str) -> str:
        if name not in self.acts or self.acts[name].kind == kind:
            return name
        if (name, kind) not in self._made:
            self._made[name, kind] = self._new(name, kind)
            self._convert(name, self._made[name, kind])
        return self._made[name, kind]

    def _new(self, name: str, kind: str) -> str:
        made = unique_name(self.tensors, f"{name}.{kind}")
        self.tensors[made] = Tensor(made, self.tensors[name].shape)
        self.acts[made] = replace(as_kind(self.acts[name], kind, name in self._never), name=made)
        return made

    def _convert(self, source: str, output: str) -> None:
        self.nodes.append(Node("requant", f"{output}.requant", (source,), (output,)))
