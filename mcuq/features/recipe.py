"""How features are made, as numbers with names, and the common recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcuq.features.mel import Mel

FULL_SCALE = 32768


@dataclass(frozen=True)
class Features:
    """Features of sound with 16 bits: lengths in samples, frequencies in Hz.

    ``power`` 2 takes the squares of the spectrum, 1 its magnitudes, times ``factor``; ``bands``
    holds the mel bands.
    Of their logarithms (``log``; db is 10 log10) of max(band, ``floor``) + ``added``, with
    ``cepstra`` the first so many of their DCT-II (``ortho``: orthonormal, else all times
    sqrt(2 / bands)); that times ``scale`` plus ``offset``, within ``limits``.
    ``full_scale``: what a sample of 32768 is. ``edge``: around the sound lie no frames, or zeros,
    or its mirror, by half an FFT, as "center" means elsewhere. ``keep_mean`` false takes the mean
    off each frame; ``previous``: before a frame's first sample lies the one of the ``stream``, or
    it itself ("frame").
    """

    rate: int = 16000
    frame: int = 400
    hop: int = 160
    points: int = 512
    window: str = "hann"
    preemphasis: float = 0.0
    previous: str = "stream"
    keep_mean: bool = True
    power: int = 2
    factor: float = 1.0
    bands: Mel = field(default_factory=Mel)
    log: str = "ln"
    floor: float = 0.0
    added: float = 0.0
    cepstra: int = 0
    ortho: bool = True
    scale: float = 1.0
    offset: float = 0.0
    limits: tuple[float, float] = (float("-inf"), float("inf"))
    full_scale: float = 1.0
    edge: str = "none"

    @property
    def count(self) -> int:
        """The features of a frame."""
        return self.cepstra or self.bands.count

    def samples(self, frames: int) -> int:
        """The samples that so many frames take."""
        return (frames - 1) * self.hop + (self.frame if self.edge == "none" else 0)

    def frames(self, samples: int) -> int:
        """The frames of so many samples."""
        if self.edge != "none":
            return samples // self.hop + 1
        return max(0, (samples - self.frame) // self.hop + 1)


RECIPES: Mapping[str, Features] = {
    # MLPerf Tiny, keyword spotting; the reference divides each clip by its maximum before.
    "mlperf_kws": Features(
        frame=480, hop=320, power=1, added=1e-6, cepstra=10, ortho=False,
        bands=Mel(40, 20.0, 4000.0, triangles="mel"),
    ),
    # MLPerf Tiny, streaming wakeword.
    "mlperf_sww": Features(
        frame=1024, hop=512, points=1024, window="hamming_symmetric", preemphasis=1 - 2**-5,
        factor=1 / 1024, bands=Mel(40, 0.0, 8000.0, triangles="mel"), log="db", floor=1e-10,
        scale=1 / 64, offset=52 / 64, limits=(0.0, 1.0),
    ),
    # TensorFlow's micro front end without noise reduction and gain control: 64 ln of the root of
    # each band, as its users scale it, by 10 / 256.
    "tensorflow_micro": Features(
        frame=480, hop=320, window="hann_halfway", full_scale=FULL_SCALE,
        bands=Mel(40, 125.0, 7500.0, triangles="mel"), floor=1.0, scale=1.25,
        limits=(0.0, float("inf")),
    ),
    "torchaudio_mel": Features(
        edge="reflect", bands=Mel(80, 0.0, 8000.0), added=1e-6,
    ),
    "torchaudio_mfcc": Features(
        edge="reflect", bands=Mel(80, 0.0, 8000.0), added=1e-6, cepstra=13,
    ),
    "librosa_mel": Features(
        rate=22050, frame=2048, hop=512, points=2048, edge="zero", log="db", floor=1e-10,
        bands=Mel(128, 0.0, 11025.0, scale="slaney", norm="slaney"),
    ),
    "librosa_mfcc": Features(
        rate=22050, frame=2048, hop=512, points=2048, edge="zero", log="db", floor=1e-10,
        bands=Mel(128, 0.0, 11025.0, scale="slaney", norm="slaney"), cepstra=20,
    ),
    "kaldi_fbank": Features(
        window="povey", preemphasis=0.97, previous="frame", keep_mean=False,
        full_scale=FULL_SCALE, floor=2.0**-23,
        bands=Mel(80, 20.0, 8000.0, triangles="mel"),
    ),
}  # fmt: skip
