"""The layers of the package: imports point down, third parties stay in their modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mcuq"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("capacity", "errors", "fixed", "assets", "folder", "naming", "progress", "elf"),
    ("ir", "qir", "config"),
    ("ops",),
    ("importers", "exporters", "passes", "data", "reference", "quantize", "compress", "evaluate"),
    ("kernels", "choose", "lower", "plan"),
    ("emit", "boards", "entry", "harness", "fit", "report", "bundle", "preflight"),
    ("toolchain", "build", "run", "listing", "stack", "count", "cycles"),
    (
        "compression",
        "compiler",
        "compressor",
        "budget",
        "vectors",
        "verify",
        "benchmark",
        "emulate",
        "selftest",
        "explain",
    ),
    ("api",),
    ("cli", "__main__"),
)
# Contracts that a lower layer states in a higher layer's vocabulary.
DATA_ONLY = {("mcuq.boards", "mcuq.kernels.variant")}
FENCED = {
    "onnx": ("importers", "exporters"),
    "jinja2": ("emit",),
    "subprocess": ("toolchain",),
    "click": ("cli",),
    "rich": ("cli",),
}


def _imports() -> list[tuple[str, str]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(module, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                found += [(module, name) for name in names]
    return found


def _layer(module: str) -> int | None:
    parts = module.split(".")
    if parts[0] != "mcuq" or len(parts) < 2 or parts[1] == "_assets":
        return None
    return next((i for i, names in enumerate(LAYERS) if parts[1] in names), None)


def test_every_module_has_a_layer() -> None:
    modules = {p.stem for p in PACKAGE.glob("*.py")} | {
        p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()
    }
    listed = {name for layer in LAYERS for name in layer}
    assert modules - {"__init__"} <= listed


def test_imports_point_down() -> None:
    upward = [
        (module, name)
        for module, name in _imports()
        if module != "mcuq"
        and (_layer(module) is not None and _layer(name) is not None)
        and _layer(name) > _layer(module)
    ]
    assert upward == []


def test_third_parties_stay_in_their_modules() -> None:
    strays = [
        (module, name)
        for module, name in _imports()
        for fenced, allowed in FENCED.items()
        if name.split(".")[0] == fenced and [*module.split("."), ""][1] not in allowed
    ]
    assert strays == []


def test_help_is_fast_and_does_not_import_torch() -> None:
    """0.3 s of processor time: other tests may be running beside this one."""
    code = (
        "import sys, time; from mcuq.cli import cli; cli(['--help'], standalone_mode=False);"
        "print('seconds', time.process_time());"
        "sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "compile" in done.stdout
    assert float(done.stdout.split()[-1]) < 0.3
