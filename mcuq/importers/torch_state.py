"""A program of torch that changes its buffers -> one that reads and returns them: a stream.

Nothing of the program is run: its graph stays, only its signature says otherwise.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcuq.ir import Array


@dataclasses.dataclass(frozen=True)
class Lifted:
    """``program``: whose buffers are inputs and outputs. ``starts``: the first values of each.

    ``order``: the places of the states among its outputs, by the names of its inputs.
    ``arguments``: what the program itself calls an input, by its name.
    """

    program: Any
    starts: Mapping[str, Array]
    order: Mapping[str, int]
    arguments: Mapping[str, str]


def lifted(program: Any) -> Lifted | None:
    """``program`` (after ``run_decompositions``); None if it changes no buffer."""
    import torch
    from torch.export.graph_signature import (
        ExportGraphSignature,
        InputKind,
        InputSpec,
        OutputKind,
        OutputSpec,
    )

    signature = program.graph_signature
    changed = set(signature.buffers_to_mutate.values())
    if not changed:
        return None
    reads = [
        InputSpec(InputKind.USER_INPUT, s.arg, None, None) if s.target in changed else s
        for s in signature.input_specs
    ]
    mutation = OutputKind.BUFFER_MUTATION
    writes = [
        OutputSpec(OutputKind.USER_OUTPUT, s.arg, None) if s.kind is mutation else s
        for s in signature.output_specs
    ]
    names = _names(signature.input_specs, changed)
    made = torch.export.ExportedProgram(
        root=program.graph_module,
        graph=program.graph,
        graph_signature=ExportGraphSignature(reads, writes),
        state_dict={k: v for k, v in program.state_dict.items() if k not in changed},
        range_constraints=program.range_constraints,
        module_call_graph=[_entry(program, list(names.values()), len(writes))],
        example_inputs=None,
        constants={k: v for k, v in program.constants.items() if k not in changed},
        verifiers=[program.verifier],
    )
    held = {**program.constants, **program.state_dict}
    targets = {s.target: i for i, s in enumerate(signature.output_specs) if s.kind is mutation}
    return Lifted(
        made,
        {names[t]: np.asarray(held[t].detach().numpy(), np.float32) for t in targets},
        {names[t]: i for t, i in targets.items()},
        {
            names[s.target if s.target in changed else f"input {s.arg.name}"]: s.arg.name
            for s, now in zip(signature.input_specs, reads, strict=True)
            if now.kind is InputKind.USER_INPUT
        },
    )


def _names(specs: Any, changed: set[str]) -> dict[str, str]:
    """The names of all inputs, by the buffer or the input, in order."""
    found: dict[str, str] = {}
    for spec in specs:
        if spec.target in changed:
            found[spec.target] = re.sub(r"\W", "_", spec.target)
        elif spec.kind.name == "USER_INPUT":
            found[f"input {spec.arg.name}"] = spec.arg.name
    taken: set[str] = set()
    for key, name in found.items():
        while name in taken:
            name += "_state"
        found[key] = name
        taken.add(name)
    return found


def _entry(program: Any, names: list[str], outputs: int) -> Any:
    """What says how the program is called: all inputs by position."""
    from torch.utils import _pytree as pytree

    entry = program.module_call_graph[0]
    signature = dataclasses.replace(
        entry.signature,
        inputs=[],
        outputs=[],
        in_spec=pytree.tree_flatten((tuple(range(len(names))), {}))[1],
        out_spec=pytree.tree_flatten(tuple(range(outputs)))[1],
        forward_arg_names=names,
    )
    return dataclasses.replace(entry, signature=signature)
