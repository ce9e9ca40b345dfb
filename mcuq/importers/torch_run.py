"""Runs what torch exported: the module itself, and the exported program operator by operator.

A program of a ``.pt2`` file is only run after its ONNX form was imported: then every operator
that its outputs need is one that ONNX and mcuq know. Operators are called one by one, none that
takes the name of a file; no code of the file is run. The rounding of fake quantization is left out.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcuq.capacity import excess
from mcuq.errors import ModelError
from mcuq.importers.imported import Source, Values
from mcuq.importers.onnx_file import OnnxModel
from mcuq.importers.onnx_run import NotRunError
from mcuq.ir import Array

if TYPE_CHECKING:
    import torch

_STATE = "Make it an input and an output of the network, and let the firmware keep it"
_FAKE = ("aten.fake_quantize_per_tensor_affine.", "quantized_decomposed.quantize_per_tensor.")
_BACK = "quantized_decomposed.dequantize_per_tensor."
_CONVERTED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")
_REFERENCE = "torch.ao.nn.quantized.reference"
_OBSERVER = "torch.ao.quantization.observer"
_INSTEAD = "Give the module from before prepare and convert, or train it with mcuq.train.prepare"
_CHANCE = "Call dropout with training=self.training, and leave random numbers and counters out"


@contextlib.contextmanager
def in_eval_mode(module: torch.nn.Module) -> Iterator[None]:
    """``module`` in eval mode; all its parts get back the mode they had."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
    except NotImplementedError:  # what ExportedProgram.module() returns is fixed as it is
        modes = {}
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def mixes_rows(module: torch.nn.Module, given: Sequence[torch.Tensor]) -> bool:
    """Whether the rows of ``given`` together give something else than the first one alone."""
    import torch

    from mcuq.importers.torch_wide import Wide

    count = len(given[0])
    if count == 1 or any(len(value) != count for value in given):
        return False
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), Wide():
            # Of copies: a module may keep a state in its buffers.
            many = _flat(copy.deepcopy(module)(*(value.clone() for value in given)))
            one = _flat(copy.deepcopy(module)(*(value[:1].clone() for value in given)))
    except Exception:  # whatever the module raises: the export will say so
        return False
    return not all(
        a.shape[:1] == (count,)
        and a[:1].shape == b.shape
        and np.allclose(a[:1], b, rtol=1e-3, atol=1e-4, equal_nan=True)
        for a, b in zip(many, one, strict=True)
    )


def know_quantization() -> None:
    """Have torch define the operators of PT2E, which programs name."""
    importlib.import_module("torch.ao.quantization.fx._decomposed")


def check_parts(module: torch.nn.Module) -> None:
    """Refuse what torch.ao's ``convert`` and ``prepare`` make: its numbers are torch's own objects,
    or not chosen yet. Fake quantization, which has observers inside, is read.
    """
    from torch.ao.quantization import FakeQuantizeBase

    name = type(module).__name__
    inside: set[torch.nn.Module] = set()
    for path, part in module.named_modules():
        place, kind = type(part).__module__, type(part).__name__
        if isinstance(part, FakeQuantizeBase):
            inside.update(part.modules())
        if place.startswith(_CONVERTED) and not place.startswith(_REFERENCE):
            raise ModelError(
                name, f"layer '{path}' is quantized for torch alone ({kind})", _INSTEAD
            )
        if place.startswith(_OBSERVER) and part not in inside:
            reason = f"'{path}' only observes ({kind}): the module is not quantized yet"
            raise ModelError(name, reason, _INSTEAD)


def check_state(program: Any, name: str) -> None:
    """Refuse a program that changes its buffers: they would be frozen at their first values."""
    changed = sorted(str(target) for target in program.graph_signature.buffers_to_mutate.values())
    if changed:
        listed = ", ".join(f"'{target}'" for target in changed)
        raise ModelError(name, f"forward changes its buffers {listed}", _STATE)


def source(program: Any, module: torch.nn.Module | None, rows: Any, model: OnnxModel) -> Source:
    """Runs ``program``; the outputs are those of ``module``, if it was made of one.

    Not if it is quantized: a module rounds.
    """
    quantized = any(str(node.target).startswith(_FAKE) for node in program.graph.nodes)

    def run(feeds: Mapping[str, Array]) -> Values:
        if module is None or quantized:
            return _values(program, feeds, model)
        outputs = _of_module(module, feeds, rows, model)
        with contextlib.suppress(NotRunError):
            outputs = {**_values(program, feeds, model), **outputs}
        return outputs

    return run


def _of_module(
    module: torch.nn.Module, feeds: Mapping[str, Array], rows: Sequence[Any], model: OnnxModel
) -> Values:
    """The outputs of the module, which must be the same when it is run again."""
    import torch

    from mcuq.importers.torch_wide import Wide

    inputs = [feeds.get(given.name) for given in model.inputs]
    if len(inputs) != len(rows):
        raise NotRunError("the module has inputs that its ONNX form leaves out")
    pairs = [(i, r) for i, r in zip(inputs, rows, strict=True) if i is not None]
    given = [_fed(array, row.dtype) for array, row in pairs]
    with torch.no_grad(), torch.random.fork_rng(devices=[]), in_eval_mode(module), Wide():
        first, again = (_flat(module(*(row.clone() for row in given))) for _ in range(2))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True)):
        raise ModelError(model.name, "computes something else when it is run again", _CHANCE)
    return dict(zip(model.outputs, first, strict=False))


def _fed(array: Array, dtype: torch.dtype) -> torch.Tensor:
    """``array`` as an input of this type; float32 for half precision (``torch_wide``)."""
    import torch

    from mcuq.importers.torch_wide import widest

    return torch.from_numpy(array).to(widest(dtype))


def _flat(outputs: Any) -> list[Array]:
    """The tensors in the module's outputs, in torch's own order."""
    import torch

    leaves, _ = torch.utils._pytree.tree_flatten(outputs)
    return [_numbers(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _numbers(values: torch.Tensor) -> Array:
    """As numpy has them, which knows no bfloat16."""
    from mcuq.importers.torch_wide import widest

    found: Array = values.to(widest(values.dtype)).numpy()
    return found


def _values(program: Any, feeds: Mapping[str, Array], model: OnnxModel) -> Values:
    """Every tensor of the program by its name there; the outputs by their names in ``model``."""
    import torch

    from mcuq.importers.torch_wide import Wide

    try:
        with torch.no_grad(), Wide():
            return _interpreted(program, feeds, model)
    except (RuntimeError, KeyError, TypeError, ValueError, IndexError) as error:
        text = " ".join(str(error).split())[:120]
        raise NotRunError(f"torch cannot run the program ({text})") from error


def _interpreted(program: Any, feeds: Mapping[str, Array], model: OnnxModel) -> Values:
    import torch

    found: Values = {}
    data = _checked(program)

    class Recorder(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            of_data = n in data and bool(n.args) and n.args[0] in data
            if of_data and str(n.target).startswith(_FAKE):
                result = self._limited(n)
            elif of_data and str(n.target).startswith(_BACK):
                result = self.fetch_args_kwargs_from_env(n)[0][0]
            else:
                result = super().run_node(n)
            if isinstance(result, torch.Tensor) and n in data:
                found[n.name] = _numbers(result)
            return result

        def _limited(self, n: torch.fx.Node) -> Any:
            """The limits of a fake quantization of data, without its rounding."""
            x, scale, zero, low, high = self.fetch_args_kwargs_from_env(n)[0][:5]
            return x.clamp((low - zero) * scale, (high - zero) * scale)

    outputs = Recorder(program.graph_module).run(*_inputs(program, feeds))
    found.update(zip(model.outputs, _flat(outputs), strict=False))
    return found


def _checked(program: Any) -> set[torch.fx.Node]:
    """The operators that depend on the rows; all are such as compute tensors of a bounded size."""
    import torch

    inputs = set(program.graph_signature.user_inputs)
    data: set[torch.fx.Node] = set()
    for node in program.graph.nodes:
        if node.name in inputs or data.intersection(node.all_input_nodes):
            data.add(node)
        if node.op != "call_function":
            continue
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and excess([int(s) for s in value.shape]):
            raise NotRunError(f"'{node.name}' is too large")
        schema = getattr(node.target, "_schema", None)
        kinds = [] if schema is None else [str(a.type) for a in schema.arguments]
        if kinds[:1] == ["str"] and "List[Tensor]" not in kinds:  # an equation names no file
            raise NotRunError(f"'{node.target}' does not compute with tensors")
    return data


def _inputs(program: Any, feeds: Mapping[str, Array]) -> list[Any]:
    """What the program's graph reads: its weights, buffers and constants, and the rows."""
    import torch

    given: list[Any] = []
    metas = {n.name: n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder"}
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.kind.name != "USER_INPUT":
            held = program.state_dict if spec.target in program.state_dict else program.constants
            given.append(held[spec.target])
            continue
        meta = metas[name]
        row = feeds.get(name)
        if row is None:
            given.append(torch.zeros([int(size) for size in meta.shape], dtype=meta.dtype))
        else:
            given.append(_fed(row, meta.dtype))
    return given
