"""From files and modules to a float Graph: ONNX is the one front door.

``load`` reads ``.onnx``, ``.tflite`` and ``.pt2`` files, ``from_torch`` takes a module. Both raise
every fault of a model at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcuq.errors import ManyErrors, McuqError, ModelError
from mcuq.ir import Array, Graph

if TYPE_CHECKING:
    import torch

    from mcuq.importers.imported import Imported
    from mcuq.importers.sizes import Sizes

__all__ = [
    "check", "check_kind", "files_of", "from_torch", "load", "problems_of", "read", "read_torch",
]  # fmt: skip


def load(path: Path | str, sizes: Sizes | None = None) -> Graph:
    """The float graph of a ``.onnx``, ``.tflite`` or ``.pt2`` file. No code of the file is run.

    ``sizes``: what the sizes are that the file leaves open.
    """
    return read(path, sizes).graph


def read(path: Path | str, sizes: Sizes | None = None) -> Imported:
    """As ``load``, with what is needed to compare the graph with its source (``agreement``)."""
    source = Path(path)
    suffix = source.suffix.lower()
    if suffix == ".onnx":
        from mcuq.importers import onnx_file, onnx_graph

        try:
            return onnx_graph.to_graph(onnx_file.read(source), sizes or onnx_graph.NO_SIZES)
        except UnicodeDecodeError as error:  # protobuf decodes a name when it is read
            reason = "holds a name that is no text"
            raise ModelError(source.name, reason, "Export the model again") from error
    if suffix == ".tflite":
        from mcuq.importers import onnx_file, onnx_graph, tflite
        from mcuq.passes.pair_states import pair_states

        converted = tflite.to_onnx(source)
        made = onnx_graph.to_graph(onnx_file.check(converted.proto, source.name, None))
        graph = replace(made.graph, notes=(*made.graph.notes, *converted.notes))
        if converted.states:
            graph = pair_states(graph, converted.states, converted.starts)
        return replace(made, graph=graph)
    if suffix == ".pt2":
        from mcuq.importers import torch_program

        return torch_program.load(source)
    remedy = "Export it to ONNX with torch.onnx.export, or save it with torch.export.save as .pt2"
    raise ModelError(source.name, "is no .onnx, .tflite or .pt2 file", remedy)


def files_of(path: Path | str) -> tuple[Path, ...]:
    """The files that a model which ``load`` reads is made of: its own, then its external data."""
    source = Path(path)
    if source.suffix.lower() != ".onnx":
        return (source,)
    from mcuq.importers import onnx_file

    return (source, *onnx_file.external_files(source))


def from_torch(module: torch.nn.Module, example_input: Any) -> Graph:
    """The float graph of ``module``; ``example_input`` is a tensor or a tuple of tensors.

    The module is exported in eval mode and left as it was. The example's first axis is the batch.
    """
    return read_torch(module, example_input).graph


def read_torch(module: torch.nn.Module, example_input: Any) -> Imported:
    """As ``from_torch``, with what is needed to compare the graph with its source."""
    from mcuq.importers import torch_program

    return torch_program.from_module(module, example_input)


def check_kind(model: object) -> None:
    """Refuse what is no path, module, exported program or graph, and say what it is."""
    if isinstance(model, (str, Path, Graph)) or hasattr(model, "graph_module"):
        return
    if isinstance(model, Mapping):
        reason = "is a dict, as a state_dict is: it holds weights, but not the layers"
        raise ModelError("model", reason, "Build the module, load the dict into it, and pass that")
    if isinstance(model, type) or not callable(getattr(model, "forward", None)):
        what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        reason = f"is {what}, not a torch.nn.Module or the path of a .onnx or .pt2 file"
        raise ModelError("model", reason)


def check(
    imported: Imported | None, ready: Graph | None = None, feeds: Mapping[str, Array] | None = None
) -> tuple[str, ...]:
    """Refuse ``imported`` if it computes something else than its source (``agreement.check``).

    None: it was checked when it was trained.
    """
    if imported is None:
        return ()
    from mcuq.importers import agreement

    return agreement.check(imported, ready, feeds)


def problems_of(path: Path | str) -> Sequence[McuqError]:
    """Every fault of the model in ``path``; empty if it can be imported."""
    try:
        load(path)
    except ManyErrors as error:
        return error.errors
    except McuqError as error:
        return (error,)
    return ()
