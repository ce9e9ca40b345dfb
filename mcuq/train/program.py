"""What a module computes in training: its own operators, as ``torch.export`` traces them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from mcuq.errors import ModelError
from mcuq.importers.torch_program import quiet, short

BATCH_NORM = torch.ops.aten.batch_norm.default
PLACE = "mcuq"
"""The part of a prepared module that is not the user's; its entries in a state begin so."""

_FLAGS = ("train", "training")
_CHECKS = ("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range")


@dataclass(frozen=True, eq=False)
class Traced:
    """``graph`` takes the flat inputs and gives a list of the flat outputs; it reads parameters and
    buffers by their names, and its other ``constants`` below ``PLACE``. ``pack`` makes of the
    outputs what the module returns.
    """

    graph: fx.Graph
    constants: dict[str, Tensor]
    pack: Callable[[Sequence[Tensor]], Any]


def trace(module: nn.Module, rows: Sequence[Tensor]) -> Traced:
    """The program of ``module`` in the mode it is in, for any number of rows if it allows that."""
    name = type(module).__name__
    sizes = tuple({0: torch.export.Dim.AUTO} for _ in rows)
    with quiet():
        try:
            exported = torch.export.export(
                module, tuple(rows), strict=False, dynamic_shapes=_sizes(module, sizes)
            )
            made: Any = exported.module(check_guards=False)
        except Exception as error:  # torch raises many kinds: the model is at fault
            reason = f"cannot be traced in training mode ({short(error)})"
            remedy = "See that torch.export.export(module, (example,)) works"
            raise ModelError(name, reason, remedy) from error
    graph = _plain(made.graph)
    known = {n for n, _ in (*module.named_parameters(), *module.named_buffers())}
    constants: dict[str, Tensor] = {}
    for node in (n for n in graph.nodes if n.op == "get_attr" and n.target not in known):
        place = f"constant_{len(constants)}"
        constants[place] = _attribute(made, str(node.target), name)
        node.target = f"{PLACE}.{place}"
    return Traced(graph, constants, functools.partial(_packed, made._out_spec))


def _packed(spec: Any, outputs: Sequence[Tensor]) -> Any:
    return torch.utils._pytree.tree_unflatten(list(outputs), spec)


def _sizes(module: nn.Module, sizes: tuple[Any, ...]) -> Any:
    """One entry an argument; those of ``*args`` go together."""
    code = getattr(getattr(module.forward, "__func__", None), "__code__", None)
    starred = code is not None and bool(code.co_flags & 4) and code.co_argcount == 1
    return (sizes,) if starred else sizes


def _attribute(made: Any, target: str, name: str) -> Tensor:
    found = made
    for part in target.split("."):
        found = getattr(found, part)
    if not isinstance(found, Tensor):
        reason = f"'{target}' is a part of its program that cannot be trained"
        raise ModelError(name, reason, "Leave torch.cond and torch.no_grad out of forward")
    return found.detach()


def _plain(graph: fx.Graph) -> fx.Graph:
    """A copy with flat inputs and outputs, without checks, and without writing in place."""
    made = fx.Graph()
    found: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node.op == "output":
            flat = torch.utils._pytree.tree_leaves(node.args[0])
            made.output([found[n] for n in flat if isinstance(n, fx.Node)])
        elif not any(check in str(node.target) for check in _CHECKS):
            found[node] = made.node_copy(node, lambda n: found[n])
    for node in list(made.nodes):
        _unwritten(node)
    return made


def _unwritten(node: fx.Node) -> None:
    """Replace an operator that writes its input by the one that does not; buffers stay written."""
    target: Any = node.target
    schema = getattr(target, "_schema", None)
    if node.op != "call_function" or schema is None or not schema.name.endswith("_"):
        return
    source = node.args[0]
    base = schema.name.removeprefix("aten::").removesuffix("_")
    other = getattr(getattr(torch.ops.aten, base, None), schema.overload_name or "default", None)
    if not isinstance(source, fx.Node) or source.op == "get_attr" or other is None:
        return
    node.target = other
    later = _after(node)
    source.replace_all_uses_with(node, lambda user: user in later)


def _after(node: fx.Node) -> set[fx.Node]:
    found, walked = set(), node.next
    while walked.op != "root":
        found.add(walked)
        walked = walked.next
    return found


class Evaluation(fx.Interpreter):
    """Runs a program as in eval mode: statistics stay, and nothing is left to chance."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, garbage_collect_values=False, graph=graph)
        self.values: dict[fx.Node, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = self._run(n)
        if isinstance(result, Tensor) and result.is_floating_point() and n.op != "get_attr":
            self.values[n] = result.detach().clone()
        return result

    def _run(self, n: fx.Node) -> Any:
        schema = getattr(n.target, "_schema", None)
        if n.op != "call_function" or schema is None:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if schema.name.endswith("_"):  # a counter of batches
            return args[0]
        given = list(args)
        for index, argument in enumerate(schema.arguments[: len(given)]):
            if argument.name in _FLAGS:
                given[index] = False
        kwargs = {k: False if k in _FLAGS else v for k, v in kwargs.items()}
        return self.call_function(n.target, tuple(given), kwargs)
