"""What an explanation holds: layers with their noise by cause, and fixes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

CAUSES = ("weights", "rounding", "clipping")


@dataclass(frozen=True)
class Layer:
    """One tensor and the layer that writes it, over the given rows.

    ``sqnr_db`` and ``cosine``: its integers against the float network, all errors so far in them.
    ``clipped``: share of the float values outside its range. ``used``: share of its integers
    between its lowest and its highest. ``noise``: by cause, noise power over signal power that it
    alone brings to the network's output. ``zero``: it is 0 for every row.
    """

    name: str
    op: str
    tensor: str
    frac: int
    sqnr_db: float
    cosine: float
    clipped: float
    used: float
    noise: Mapping[str, float]
    zero: bool

    @property
    def total(self) -> float:
        return sum(self.noise.values())


@dataclass(frozen=True)
class Fix:
    """What to do about a layer: ``gain_db`` at the output (None: unknown), and its ``price``."""

    layer: str
    cause: str
    text: str
    price: str
    gain_db: float | None = None


@dataclass(frozen=True)
class Explanation:
    """``steps``: what each step of the quantization did, as in the report."""

    rows: int
    output_sqnr_db: float
    steps: Sequence[Mapping[str, Any]]
    layers: tuple[Layer, ...]
    fixes: tuple[Fix, ...]
    advice: tuple[str, ...]

    def worst(self) -> list[Layer]:
        """The layers by the noise that they bring to the output, the loudest first."""
        return sorted(self.layers, key=lambda layer: -layer.total)

    def share(self, layer: Layer, cause: str) -> float:
        """The part of a layer and cause in the noise of all layers, 0..1."""
        whole = sum(other.total for other in self.layers)
        return layer.noise[cause] / whole if whole > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        layers = []
        for layer in self.layers:
            shares = {cause: round(self.share(layer, cause), 6) for cause in CAUSES}
            facts = {k: _finite(v) for k, v in asdict(layer).items() if k != "noise"}
            layers.append({**facts, "share_of_noise": shares})
        return {
            "rows": self.rows,
            "output_sqnr_db": _finite(self.output_sqnr_db),
            "steps": list(self.steps),
            "layers": layers,
            "fixes": [asdict(fix) for fix in self.fixes],
            "advice": list(self.advice),
        }


def _finite(value: Any) -> Any:
    """What JSON can hold: None for an infinite SQNR."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
