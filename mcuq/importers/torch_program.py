"""PyTorch modules and ``.pt2`` files: both are exported to ONNX in memory and read from there."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcuq.errors import McuqError, ModelError
from mcuq.importers import fake_quant, onnx_file, onnx_graph, pt2_file, torch_run
from mcuq.importers.imported import Imported

_REMEDY = "See that torch.onnx.export(module, example, dynamo=True) works"


def from_module(module: Any, example_input: Any) -> Imported:
    """The graph of a torch module in eval mode; only the first row of the example is used.

    An exported program needs no example: it is read as it is.
    """
    import torch

    name = type(module).__name__
    if isinstance(module, torch.export.ExportedProgram):
        return _exported(module, None, name)
    if not isinstance(module, torch.nn.Module):
        remedy = "Pass a path, a torch.nn.Module or what torch.export.export returns"
        raise ModelError(name, "is not a model", remedy)
    given = example_input if isinstance(example_input, (tuple, list)) else (example_input,)
    wrong = [v for v in given if not isinstance(v, torch.Tensor) or v.dim() == 0 or not len(v)]
    if wrong or not given:
        reason = "the example input is not a tensor, or a tuple of tensors, with a batch"
        raise ModelError(name, reason, "Pass for example torch.randn(1, 3, 32, 32)")
    rows = tuple(v[:1].detach() for v in given)
    with torch_run.in_eval_mode(module):
        return _exported(module, rows, name)


def load(path: Path) -> Imported:
    """The graph of an exported program; nothing in the file is executed (``pt2_file``)."""
    content = pt2_file.checked(path)
    import torch

    with _quiet():
        try:
            program = torch.export.load(io.BytesIO(content))
        except Exception as error:  # torch raises many kinds: the file is at fault
            reason = f"cannot be loaded ({_short(error)})"
            raise ModelError(path.name, reason, "Save it again with torch.export.save") from error
    return _exported(program, None, path.name)


def _exported(model: Any, rows: Any, name: str) -> Imported:
    import torch

    with _quiet():
        try:
            table = fake_quant.translations()
            program = torch.onnx.export(
                model, rows or (), dynamo=True, verbose=False, custom_translation_table=table
            )
            if program is None:
                raise RuntimeError("no program")
            proto = program.model_proto
        except McuqError:
            raise
        except Exception as error:  # torch raises many kinds: the model is at fault
            reason = f"cannot be exported to ONNX ({_short(error)})"
            raise ModelError(name, reason, _REMEDY) from error
    exported = program.exported_program
    torch_run.check_state(exported, name)
    found = onnx_graph.to_graph(onnx_file.check(proto, name, None))
    module = model if isinstance(model, torch.nn.Module) else None
    return replace(found, torch=torch_run.source(exported, module, rows, found.model))


def _short(error: BaseException) -> str:
    """The first cause of ``error``, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
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
