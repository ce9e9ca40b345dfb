"""What an explanation holds: layers with their noise by cause, and fixes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mcuq.errors import brief
from mcuq.model.pictures import errors
from mcuq.model.report import Explained, ExplainedLayer, Fix, QuantizerStep

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


@dataclass(frozen=True, repr=False)
class Explanation:
    """``steps``: what each step of the quantization did, as in the report."""

    rows: int
    output_sqnr_db: float
    steps: tuple[QuantizerStep, ...]
    layers: tuple[Layer, ...]
    fixes: tuple[Fix, ...]
    advice: tuple[str, ...]

    def __repr__(self) -> str:
        first = ", ".join(layer.name for layer in self.worst()[:3])
        lost = f"SQNR {self.output_sqnr_db:.1f} dB"
        return brief("Explanation", f"{self.rows} rows", lost, f"most by {first}")

    def _repr_html_(self) -> str:
        return errors(self.facts).svg

    def worst(self) -> list[Layer]:
        """The layers by the noise that they bring to the output, the loudest first."""
        return sorted(self.layers, key=lambda layer: -layer.total)

    def share(self, layer: Layer, cause: str) -> float:
        """The part of a layer and cause in the noise of all layers, 0..1."""
        whole = sum(other.total for other in self.layers)
        return layer.noise[cause] / whole if whole > 0 else 0.0

    @property
    def facts(self) -> Explained:
        """As the report has them."""
        return Explained(
            self.rows,
            finite(self.output_sqnr_db),
            self.steps,
            tuple(self._layer(layer) for layer in self.layers),
            self.fixes,
            self.advice,
        )

    def _layer(self, layer: Layer) -> ExplainedLayer:
        known = {k: v for k, v in vars(layer).items() if k not in ("noise", "sqnr_db")}
        shares = {cause: round(self.share(layer, cause), 6) for cause in CAUSES}
        return ExplainedLayer(**known, sqnr_db=finite(layer.sqnr_db), share_of_noise=shares)


def finite(value: float) -> float | None:
    """None for an infinite SQNR, which JSON cannot hold."""
    return value if math.isfinite(value) else None
