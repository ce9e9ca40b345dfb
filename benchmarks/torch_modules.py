"""PyTorch's modules and functions from A to Z, through both exporters, exact in C.

    python -m benchmarks.torch_modules [--cores | --float] [NAME ...]

Each is a network of its own: given to mcuq as it is, which exports it with ``dynamo=True``, and as
the file that ``dynamo=False`` writes; compared with torch, quantized, and checked bit for bit on
the host. Where both exporters give the same graph, its C is checked once. ``--cores``: on four
emulated cores, too; ``--float``: only compared with torch.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import mcuq
from benchmarks.public_models import CORES
from mcuq import importers
from mcuq.errors import McuqError
from mcuq.ir import Graph, from_memory, to_memory
from mcuq.reference import outputs_of

IMAGE, ROW, SERIES, TOKENS = (1, 4, 8, 6), (1, 12), (1, 4, 10), (1, 6, 8)
ROWS, TOLERANCE = 16, 1e-4
Made = Callable[[], nn.Module]


class Function(nn.Module):
    """A function of the input, behind a layer that spreads values."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class Recurrent(nn.Module):
    """The outputs of a recurrent layer, or its last state."""

    def __init__(self, layer: nn.Module, last: bool) -> None:
        super().__init__()
        self.layer, self.last = layer, last

    def forward(self, x: Tensor) -> Tensor:
        outputs, state = self.layer(x)
        if not self.last:
            return outputs
        return state[0][-1] if isinstance(state, tuple) else state[-1]


class Attention(nn.Module):
    """Self-attention of ``nn.MultiheadAttention``."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


def fn(function: Callable[[Tensor], Any]) -> Made:
    return lambda: Function(function)


def _attended(x: Tensor, **more: Any) -> Tensor:
    """Attention of one head."""
    rows = x[:, None]
    return F.scaled_dot_product_attention(rows, rows, rows, **more)[:, 0]


def _positive(function: Callable[[Tensor], Tensor]) -> Made:
    """A function that is only defined above 0."""
    return fn(lambda x: function(x.abs() + 0.5))


ACTIVATIONS: dict[str, tuple[Made, tuple[int, ...]]] = {
    name: (made, IMAGE)
    for name, made in {
        "ELU": lambda: nn.ELU(0.7),
        "Hardshrink": nn.Hardshrink,
        "Hardsigmoid": nn.Hardsigmoid,
        "Hardtanh": lambda: nn.Hardtanh(-0.6, 0.8),
        "Hardswish": nn.Hardswish,
        "LeakyReLU": lambda: nn.LeakyReLU(0.2),
        "LogSigmoid": nn.LogSigmoid,
        "PReLU": nn.PReLU,
        "PReLU by channel": lambda: nn.PReLU(4),
        "ReLU": nn.ReLU,
        "ReLU6": nn.ReLU6,
        "RReLU": nn.RReLU,
        "SELU": nn.SELU,
        "CELU": lambda: nn.CELU(0.7),
        "GELU": nn.GELU,
        "GELU tanh": lambda: nn.GELU("tanh"),
        "Sigmoid": nn.Sigmoid,
        "SiLU": nn.SiLU,
        "Mish": nn.Mish,
        "Softplus": nn.Softplus,
        "Softplus beta": lambda: nn.Softplus(2.0),
        "Softshrink": nn.Softshrink,
        "Softsign": nn.Softsign,
        "Tanh": nn.Tanh,
        "Tanhshrink": nn.Tanhshrink,
        "Threshold": lambda: nn.Threshold(0.1, 0.0),
        "GLU": lambda: nn.GLU(1),
        "Softmin": lambda: nn.Softmin(1),
        "Softmax": lambda: nn.Softmax(1),
        "Softmax2d": nn.Softmax2d,
        "LogSoftmax": lambda: nn.LogSoftmax(1),
    }.items()
}
LAYERS: dict[str, tuple[Made, tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(12, 5), ROW),
    "Linear of tokens": (lambda: nn.Linear(8, 5), TOKENS),
    "Bilinear-like product": (fn(lambda x: (x[:, :6] * x[:, 6:]).sum(1, keepdim=True)), ROW),
    "Identity": (lambda: nn.Sequential(nn.Identity(), nn.Tanh()), ROW),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, padding=1), SERIES),
    "Conv1d dilated": (lambda: nn.Conv1d(4, 6, 3, dilation=2), SERIES),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), IMAGE),
    "Conv2d same": (lambda: nn.Conv2d(4, 6, (3, 5), padding="same"), IMAGE),
    "Conv2d reflect": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), IMAGE),
    "Conv2d circular": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), IMAGE),
    "Conv2d groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), IMAGE),
    "Conv2d depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4), IMAGE),
    "Conv3d flat": (lambda: nn.Conv3d(2, 3, (1, 3, 3)), (1, 2, 1, 8, 6)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1), SERIES),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1), IMAGE),
    "ConvTranspose2d groups": (lambda: nn.ConvTranspose2d(4, 4, 2, 2, groups=2), IMAGE),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), SERIES),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), IMAGE),
    "LayerNorm": (lambda: nn.LayerNorm(8), TOKENS),
    "LayerNorm two axes": (lambda: nn.LayerNorm((6, 8)), TOKENS),
    "RMSNorm": (lambda: nn.RMSNorm(8), TOKENS),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4), SERIES),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True), IMAGE),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, alpha=0.5), IMAGE),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), SERIES),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), IMAGE),
    "MaxPool2d ceil": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), IMAGE),
    "MaxPool2d dilated": (lambda: nn.MaxPool2d(2, dilation=2), IMAGE),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), SERIES),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    "AvgPool2d ceil": (lambda: nn.AvgPool2d(3, 2, 1, True, False), IMAGE),
    "LPPool2d": (lambda: nn.LPPool2d(2, 2), IMAGE),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(5), SERIES),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    "AdaptiveAvgPool2d (2, 3)": (lambda: nn.AdaptiveAvgPool2d((2, 3)), IMAGE),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((2, 3)), IMAGE),
    "Dropout": (lambda: nn.Sequential(nn.Dropout(), nn.Tanh()), ROW),
    "Dropout2d": (lambda: nn.Sequential(nn.Dropout2d(), nn.Tanh()), IMAGE),
    "AlphaDropout": (lambda: nn.Sequential(nn.AlphaDropout(), nn.Tanh()), ROW),
    "Flatten": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), IMAGE),
    "Unflatten": (lambda: nn.Sequential(nn.Unflatten(1, (3, 4)), nn.Linear(4, 2)), ROW),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), IMAGE),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), IMAGE),
    "ChannelShuffle": (lambda: nn.Sequential(nn.ChannelShuffle(2), nn.Tanh()), IMAGE),
    "Upsample nearest": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "Upsample bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "Upsample corners": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), IMAGE),
    "Upsample bicubic": (lambda: nn.Upsample(size=(12, 9), mode="bicubic"), IMAGE),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 0, 2, 1)), IMAGE),
    "ConstantPad2d": (lambda: nn.ConstantPad2d(1, 0.5), IMAGE),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), IMAGE),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d(1), IMAGE),
    "ConstantPad1d": (lambda: nn.ConstantPad1d(2, 0.0), SERIES),
    "LSTM": (lambda: Recurrent(nn.LSTM(8, 6, batch_first=True), False), TOKENS),
    "LSTM last": (lambda: Recurrent(nn.LSTM(8, 6, 2, batch_first=True), True), TOKENS),
    "LSTM both ways": (
        lambda: Recurrent(nn.LSTM(8, 5, batch_first=True, bidirectional=True), False),
        TOKENS,
    ),
    "GRU": (lambda: Recurrent(nn.GRU(8, 6, batch_first=True), False), TOKENS),
    "GRU last": (lambda: Recurrent(nn.GRU(8, 6, batch_first=True), True), TOKENS),
    "RNN": (lambda: Recurrent(nn.RNN(8, 6, batch_first=True), False), TOKENS),
    "MultiheadAttention": (Attention, TOKENS),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        TOKENS,
    ),
    "TransformerEncoderLayer gelu": (
        lambda: nn.TransformerEncoderLayer(
            8, 2, 16, activation="gelu", batch_first=True, norm_first=True
        ),
        TOKENS,
    ),
}
CONSTANT = torch.linspace(-1.0, 1.0, 12).reshape(1, 12)
ON_ROWS: dict[str, tuple[Made, tuple[int, ...]]] = {
    name: (made, ROW)
    for name, made in {
        "abs": fn(torch.abs),
        "neg": fn(torch.neg),
        "exp": fn(torch.exp),
        "expm1": fn(torch.expm1),
        "log": _positive(torch.log),
        "log1p": _positive(torch.log1p),
        "log2": _positive(torch.log2),
        "log10": _positive(torch.log10),
        "sqrt": _positive(torch.sqrt),
        "rsqrt": _positive(torch.rsqrt),
        "reciprocal": _positive(torch.reciprocal),
        "square": fn(torch.square),
        "pow 3": fn(lambda x: x**3),
        "pow 1.5": _positive(lambda x: x**1.5),
        "2 ** x": fn(lambda x: 2.0**x),
        "sin": fn(torch.sin),
        "cos": fn(torch.cos),
        "tan": fn(lambda x: torch.tan(x / 4)),
        "asin": fn(lambda x: torch.asin(x.tanh() * 0.9)),
        "acos": fn(lambda x: torch.acos(x.tanh() * 0.9)),
        "atan": fn(torch.atan),
        "sinh": fn(torch.sinh),
        "cosh": fn(torch.cosh),
        "asinh": fn(torch.asinh),
        "acosh": _positive(lambda x: torch.acosh(x + 0.6)),
        "atanh": fn(lambda x: torch.atanh(x.tanh() * 0.9)),
        "erf": fn(torch.erf),
        "sigmoid": fn(torch.sigmoid),
        "logit": fn(lambda x: torch.logit(x.sigmoid() * 0.8 + 0.1)),
        "floor": fn(torch.floor),
        "ceil": fn(torch.ceil),
        "round": fn(torch.round),
        "trunc": fn(torch.trunc),
        "frac": fn(torch.frac),
        "sign": fn(torch.sign),
        "clamp": fn(lambda x: x.clamp(-0.5, 0.7)),
        "clamp min": fn(lambda x: x.clamp(min=0.1)),
        "nan_to_num": fn(lambda x: torch.nan_to_num(x).tanh()),
        "add": fn(lambda x: x + CONSTANT),
        "sub": fn(lambda x: 1.0 - x),
        "mul": fn(lambda x: x * CONSTANT),
        "div": fn(lambda x: x / 3),
        "rsub": fn(lambda x: torch.rsub(x, 2.0)),
        "lerp": fn(lambda x: torch.lerp(x, CONSTANT, 0.3)),
        "addcmul": fn(lambda x: torch.addcmul(CONSTANT, x, x, value=0.5)),
        "maximum": fn(lambda x: torch.maximum(x, CONSTANT)),
        "minimum": fn(lambda x: torch.minimum(x, CONSTANT)),
        "hypot": fn(lambda x: torch.hypot(x, CONSTANT + 2)),
        "atan2": fn(lambda x: torch.atan2(x, CONSTANT + 2)),
        "fmod": fn(lambda x: torch.fmod(x, 0.75)),
        "remainder": fn(lambda x: torch.remainder(x, 0.75)),
        "where": fn(lambda x: torch.where(x > 0, x, 0.1 * x)),
        "masked_fill": fn(lambda x: x.masked_fill(CONSTANT > 0.3, 0.25)),
        "greater": fn(lambda x: (x > 0.2).float()),
        "and": fn(lambda x: ((x > 0) & (x < 1)).float()),
        "heaviside": fn(lambda x: torch.heaviside(x, torch.tensor(0.5))),
        "softmax": fn(lambda x: x.softmax(-1)),
        "log_softmax": fn(lambda x: x.log_softmax(-1)),
        "logsumexp": fn(lambda x: torch.logsumexp(x, 1)),
        "normalize": fn(lambda x: F.normalize(x)),
        "cosine": fn(lambda x: F.cosine_similarity(x[:, :6], x[:, 6:])),
        "argmax": fn(lambda x: x.argmax(1)),
        "argmin": fn(lambda x: x.argmin(1)),
        "cumsum": fn(lambda x: x.cumsum(1)),
        "prod": fn(lambda x: (x * 0.5 + 1).prod(1)),
    }.items()
}
ON_IMAGES: dict[str, tuple[Made, tuple[int, ...]]] = {
    name: (made, IMAGE)
    for name, made in {
        "mean": fn(lambda x: x.mean((2, 3))),
        "mean of channels": fn(lambda x: x.mean(1)),
        "sum": fn(lambda x: x.sum((2, 3))),
        "amax": fn(lambda x: x.amax((2, 3))),
        "amin": fn(lambda x: x.amin(1)),
        "max": fn(lambda x: x.max(3).values),
        "min": fn(lambda x: x.min(2).values),
        "var": fn(lambda x: x.var((2, 3))),
        "std": fn(lambda x: x.std(1)),
        "norm": fn(lambda x: x.norm(dim=1)),
        "cat": fn(lambda x: torch.cat([x, x.tanh()], 1)),
        "stack": fn(lambda x: torch.stack([x, -x], 2)),
        "chunk": fn(lambda x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1]),
        "split": fn(lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1).tanh()),
        "unbind": fn(lambda x: x.unbind(1)[2].tanh()),
        "flip": fn(lambda x: x.flip(3).tanh()),
        "roll": fn(lambda x: x.roll(1, 2).tanh()),
        "permute": fn(lambda x: x.permute(0, 2, 3, 1).tanh()),
        "transpose": fn(lambda x: x.transpose(2, 3).tanh()),
        "narrow": fn(lambda x: x.narrow(2, 1, 3).tanh()),
        "slice": fn(lambda x: x[:, :, ::2, 1:].tanh()),
        "index_select": fn(lambda x: x.index_select(1, torch.tensor([2, 0])).tanh()),
        "gather rows": fn(lambda x: x[:, [3, 1, 1]].tanh()),
        "expand": fn(lambda x: x[:, :1].expand(-1, 4, -1, -1) * x),
        "repeat": fn(lambda x: x.repeat(1, 2, 1, 1).tanh()),
        "tile": fn(lambda x: x.tile((1, 1, 2, 1)).tanh()),
        "repeat_interleave": fn(lambda x: x.repeat_interleave(2, 3).tanh()),
        "reshape": fn(lambda x: x.reshape(1, 8, 24).tanh()),
        "squeeze": fn(lambda x: x.mean(1, True).squeeze(1)),
        "unsqueeze": fn(lambda x: x.unsqueeze(2).tanh()),
        "pad reflect": fn(lambda x: F.pad(x, (1, 1), "reflect")),
        "pad constant": fn(lambda x: F.pad(x, (1, 0, 0, 2), value=-0.5)),
        "avg_pool2d": fn(lambda x: F.avg_pool2d(x, 2)),
        "interpolate": fn(lambda x: F.interpolate(x, (5, 9), mode="bilinear", antialias=False)),
        "tril": fn(lambda x: x.tril().tanh()),
        "unfold": fn(lambda x: F.unfold(x, 2)),
        "topk of one": fn(lambda x: x.topk(1, 1).values),
    }.items()
}
PRODUCTS: dict[str, tuple[Made, tuple[int, ...]]] = {
    name: (made, TOKENS)
    for name, made in {
        "matmul": fn(lambda x: x @ x.transpose(1, 2)),
        "bmm": fn(lambda x: torch.bmm(x, x.mT)),
        "einsum": fn(lambda x: torch.einsum("btc,bsc->bts", x, x)),
        "baddbmm": fn(lambda x: torch.baddbmm(torch.ones(1, 6, 6), x, x.mT, alpha=0.5)),
        "scaled_dot_product_attention": fn(lambda x: _attended(x)),
        "causal attention": fn(lambda x: _attended(x, is_causal=True)),
        "outer": fn(lambda x: x[:, 0, :, None] * x[:, 1, None, :]),
        "layer_norm": fn(lambda x: F.layer_norm(x, (8,))),
        "mse": fn(lambda x: (x - 0.5).square().mean((1, 2))),
    }.items()
}
TABLE: dict[str, tuple[Made, tuple[int, ...]]] = {
    **ACTIVATIONS,
    **LAYERS,
    **ON_ROWS,
    **ON_IMAGES,
    **PRODUCTS,
}


@dataclass(frozen=True)
class Outcome:
    """What became of a module: ``said`` is empty where all is right."""

    name: str
    dynamo: bool
    said: str = ""
    exact: str = ""


def module_of(name: str) -> tuple[nn.Module, Tensor]:
    """The module with seeded weights in eval mode, and seeded rows for it."""
    torch.manual_seed(0)
    make, shape = TABLE[name]
    module = make().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return module, torch.randn(ROWS, *shape[1:]) * 1.5


class NotExportedError(Exception):
    """PyTorch has no ONNX form for the module."""


def exported(module: nn.Module, example: Tensor, folder: Path) -> Path:
    """The module as the exporter of TorchScript writes it."""
    path = folder / "script.onnx"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(module, (example,), str(path), dynamo=False, opset_version=17)
        except Exception as error:  # whatever torch raises
            raise NotExportedError(str(error).strip().splitlines()[0]) from error
    return path


def differs(graph: Graph, module: nn.Module, rows: Tensor) -> str:
    """Where the graph computes something else than torch, in words; empty if nowhere."""
    name = graph.inputs[0].name
    given = rows.numpy().reshape(-1, *graph.inputs[0].shape[1:])
    inside = {name: to_memory(graph.inputs[0], graph.shape(graph.inputs[0].tensor), given)}
    found = outputs_of(graph, inside)
    for index in range(len(rows)):
        with torch.no_grad():
            result = module(rows[index : index + 1])
        wanted = result if isinstance(result, tuple) else (result,)
        for port, real in zip(graph.outputs, wanted, strict=True):
            value = from_memory(port, found[port.name])[index].reshape(-1)
            error = np.abs(value - real.numpy().reshape(-1).astype(np.float64)).max()
            if error > TOLERANCE * max(1.0, float(real.double().abs().max())):
                return f"{port.name} differs from torch by {error:.3g}"
    return ""


def outcomes(names: Sequence[str], cores: Mapping[str, str] | None) -> Iterator[Outcome]:
    """Both exporters of each name; without C if ``cores`` is None."""
    for name in names:
        module, rows = module_of(name)
        seen: set[tuple[Any, ...]] = set()
        for dynamo in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                yield _outcome(name, module, rows, dynamo, Path(folder), cores, seen)


def _outcome(
    name: str,
    module: nn.Module,
    rows: Tensor,
    dynamo: bool,
    folder: Path,
    cores: Mapping[str, str] | None,
    seen: set[tuple[Any, ...]],
) -> Outcome:
    example = rows[:1]
    try:
        source = module if dynamo else exported(module, example, folder)
        graph = importers.from_torch(module, example) if dynamo else importers.load(source)
        wrong = differs(graph, module, rows)
        key = tuple((n.op, repr(sorted(n.attrs.items()))) for n in graph.nodes)
        if wrong or key in seen:
            return Outcome(name, dynamo, wrong, "the same")
        seen.add(key)
        if cores is None:
            return Outcome(name, dynamo, exact="float")
        board = ",".join(cores.values()) or None
        model = mcuq.compile(source, example, rows.numpy(), board=board, effort="fast")
        verdicts = model.check(list(cores.values()), vectors=3)
    except NotExportedError as error:
        return Outcome(name, dynamo, "", f"not exported: {error}")
    except McuqError as error:
        return Outcome(name, dynamo, str(error))
    except Exception as error:  # a fault of mcuq
        return Outcome(name, dynamo, f"CRASH {type(error).__name__}: {error}")
    bad = [f"{v.board}: {v.first}" for v in verdicts if not v.exact]
    judged = model.report.judged
    sqnr = judged.sqnr_db if judged else None
    return Outcome(name, dynamo, "; ".join(bad), f"{200.0 if sqnr is None else sqnr:.0f} dB")


def main(arguments: Sequence[str]) -> None:
    """Print a line for each, and the totals."""
    names = [arg for arg in arguments if not arg.startswith("--")] or list(TABLE)
    cores = CORES if "--cores" in arguments else None if "--float" in arguments else {}
    counts: Counter[str] = Counter()
    for found in outcomes(names, cores):
        exporter = "dynamo" if found.dynamo else "script"
        kind = "wrong" if found.said else "exact"
        counts["not exported by PyTorch" if found.exact.startswith("not") else kind] += 1
        print(f"{found.name:32} {exporter:7} {found.exact:9} {found.said}", flush=True)
    totals = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{len(names)} modules and functions, two exporters each: {totals}.")


if __name__ == "__main__":
    main(sys.argv[1:])
