"""Compilations as if on other processors: libraries told which instructions and threads to take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parents[1]
PROCESSORS = (
    {},
    {
        "MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "1",
    },
    {
        "MKL_CBWR": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2",
    },
)  # fmt: skip


def start(model: Path, variants: tuple[str, ...], processor: dict[str, str]) -> subprocess.Popen:
    """Digests of ``variants`` of ``model``, printed by a process of its own (same_bytes.py)."""
    path = os.pathsep.join([str(ROOT), str(SUPPORT)])
    kept = {k: v for k, v in os.environ.items() if k not in {n for p in PROCESSORS for n in p}}
    command = [sys.executable, str(SUPPORT / "same_bytes.py"), str(model), *variants]
    return subprocess.Popen(
        command, env={**kept, "PYTHONPATH": path, **processor}, stdout=subprocess.PIPE, text=True
    )
