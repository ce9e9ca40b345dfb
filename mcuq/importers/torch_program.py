"""PyTorch modules and ``.pt2`` files: both are exported to ONNX in memory and read from there."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcuq.errors import McuqError, ModelError
from mcuq.importers import onnx_file, onnx_graph, pt2_file, torch_forms, torch_run, torch_state
from mcuq.importers.imported import Imported
from mcuq.ir import Array
from mcuq.passes.pair_states import pair_states

_REMEDY = "See that torch.onnx.export(module, example, dynamo=True) works"


def from_module(module: Any, example_input: Any) -> Imported:
    """The graph of a torch module in eval mode; of the example the first row is used.

    All of it is where its first axis is no batch: where rows together give something else than one
    alone, as time in front does. An exported program needs no example: it is read as it is.
    """
    import torch

    name = type(module).__name__
    if isinstance(module, torch.export.ExportedProgram):
        return _exported(module, None, name)
    if not isinstance(module, torch.nn.Module):
        remedy = "Pass a path, a torch.nn.Module or what torch.export.export returns"
        raise ModelError(name, "is not a model", remedy)
    torch_run.check_parts(module)
    rows = _rows(name, example_input)
    with torch_run.in_eval_mode(module):
        given = _tensors(example_input)
        if torch_run.mixes_rows(module, given):
            rows = tuple(value.detach() for value in given)
        return _exported(module, rows, name)


def _tensors(example_input: Any) -> tuple[Any, ...]:
    return tuple(example_input) if isinstance(example_input, (tuple, list)) else (example_input,)


def _rows(name: str, example_input: Any) -> tuple[Any, ...]:
    """The first row of each example."""
    import torch

    given = _tensors(example_input)
    wrong = [v for v in given if not isinstance(v, torch.Tensor) or v.dim() == 0 or not len(v)]
    if wrong or not given:
        reason = "the example input is not a tensor, or a tuple of tensors, with a batch"
        raise ModelError(name, reason, "Pass for example torch.randn(1, 3, 32, 32)")
    return tuple(v[:1].detach() for v in given)


def load(path: Path) -> Imported:
    """The graph of an exported program; nothing in the file is executed (``pt2_file``)."""
    content = pt2_file.checked(path)
    import torch

    with quiet():
        torch_run.know_quantization()
        try:
            program = torch.export.load(io.BytesIO(content))
        except Exception as error:  # torch raises many kinds: the file is at fault
            reason = f"cannot be loaded ({short(error)})"
            raise ModelError(path.name, reason, "Save it again with torch.export.save") from error
    return _exported(program, None, path.name)


@dataclass(frozen=True, eq=False)
class Template:
    """A module as ONNX whose initializers are its parameters and buffers, by their own names.

    So it is imported again with other numbers in milliseconds, where exporting takes seconds.
    """

    name: str
    proto: Any
    first: Imported

    @classmethod
    def of(cls, module: Any, example_input: Any) -> Template:
        """The template of a torch module in eval mode; ``first`` has the numbers it has now."""
        name = type(module).__name__
        torch_run.check_parts(module)
        rows = _rows(name, example_input)
        with torch_run.in_eval_mode(module):
            program = _program(module, rows, name, optimize=False)
            torch_run.check_state(program.exported_program, name)
            return cls(name, program.model_proto, _imported(program, module, rows, name))

    def imported(self, state: Mapping[str, Array]) -> Imported:
        """The network with the numbers ``state`` by parameter name; others are as in ``first``."""
        proto = type(self.proto)()
        proto.CopyFrom(self.proto)
        for tensor in proto.graph.initializer:
            if tensor.name in state:
                tensor.CopyFrom(onnx_file.to_proto(tensor.name, state[tensor.name]))
        return onnx_graph.to_graph(onnx_file.check(proto, self.name, None))


def _exported(model: Any, rows: Any, name: str) -> Imported:
    import torch

    module = model if isinstance(model, torch.nn.Module) else None
    return _imported(_program(model, rows, name), module, rows, name)


def _program(model: Any, rows: Any, name: str, optimize: bool = True) -> Any:
    """What ``torch.onnx.export`` makes; without ``optimize`` parameters stay as they are."""
    import torch

    settings: dict[str, Any] = {"dynamo": True, "verbose": False, "optimize": optimize}
    settings["custom_translation_table"] = torch_forms.translations()
    with quiet(), torch_forms.written_out():
        try:
            program = torch.onnx.export(model, rows or (), **settings)
            if program is None:
                raise RuntimeError("no program")
            if not optimize:
                _optimize_around(program.model.graph, program)
            return program
        except McuqError:
            raise
        except Exception as error:  # torch raises many kinds: the model is at fault
            reason = f"cannot be exported to ONNX ({short(error)})"
            raise ModelError(name, reason, _REMEDY) from error


def _optimize_around(graph: Any, program: Any) -> None:
    """Simplify ``graph`` as the exporter does, but for its initializers: seen as inputs meanwhile,
    they are not computed with.
    """
    held = list(graph.initializers.values())
    numbers = [value.const_value for value in held]
    for value in held:
        del graph.initializers[value.name]
        value.const_value = None
        graph.inputs.append(value)
    program.optimize()
    for value, number in zip(held, numbers, strict=True):
        graph.inputs.remove(value)
        value.const_value = number
        graph.initializers[value.name] = value


def _imported(program: Any, module: Any, rows: Any, name: str) -> Imported:
    exported = program.exported_program
    if (kept := torch_state.lifted(exported)) is not None:
        return _stream(kept, name)
    found = onnx_graph.to_graph(onnx_file.check(program.model_proto, name, None))
    return replace(found, torch=torch_run.source(exported, module, rows, found.model))


def _stream(kept: torch_state.Lifted, name: str) -> Imported:
    """The network whose states are the buffers that a program changes."""
    program = _program(kept.program, None, name)
    found = onnx_graph.to_graph(onnx_file.check(program.model_proto, name, None))
    run = torch_run.source(kept.program, None, None, found.model)
    pairs = {read: found.model.outputs[place] for read, place in kept.order.items()}
    for read, written in pairs.items():
        if written not in {port.name for port in found.graph.outputs}:
            reason = f"buffer '{read}' becomes the input '{written}' as it is"
            raise ModelError(name, reason, f"Make '{read}' an input, which the firmware keeps")
    return replace(
        found,
        graph=pair_states(found.graph, pairs, kept.starts),
        torch=lambda feeds: run({kept.arguments[n]: values for n, values in feeds.items()}),
    )


def short(error: BaseException) -> str:
    """The first cause of ``error``, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps torch's own progress, warnings and log lines from the user's terminal."""
    before = logging.root.manager.disable
    sink = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(sink):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            with contextlib.redirect_stderr(sink):
                yield
        finally:
            logging.disable(before)
