"""The layers of the package: imports point down, third parties stay in their modules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

from mcuq.kernels import VARIANTS
from mcuq.ops import OPS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mcuq"

LAYERS: tuple[tuple[str, ...], ...] = tuple(
    tuple(line.split())
    for line in """
    errors fixed progress version schema capacity
    ir files draw
    qir
    ops targets data
    features
    reference sequences passes kernels
    importers quantize program stream
    exporters emit
    compress firmware
    model emulate desk train
    measure
    config
    flows
    api
    cli __main__
    """.strip().splitlines()
)
MOST_BESIDE = 28
MEDIAN_LINES = 6
MOST_LINES = 49
FENCED = {
    "onnx": ("importers", "exporters"),
    "jinja2": ("emit",),
    "subprocess": ("firmware",),
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


def test_no_module_imports_itself_by_a_circle() -> None:
    """Imports within functions count, too; a package's own modules are what it imports."""
    found = _imports()
    modules = {module for module, _ in found}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for module, name in found:
        imported = name if name in modules else name.rpartition(".")[0]
        if imported in modules - {module}:
            graph[module].add(imported)
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules) > 300


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


def _listed_operators(path: Path) -> list[str]:
    """Where a file lists two or more operators by name."""
    names, found = {op.name for op in OPS}, []
    for node in ast.walk(ast.parse(path.read_text())):
        parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", ())
        listed = [p.value for p in parts if isinstance(p, ast.Constant) and p.value in names]
        if len(listed) > 1:
            found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {', '.join(listed)}")
    return found


def test_commands_take_no_road_of_their_own() -> None:
    """What a command does is a function of the API; texts about it may come from where it is."""
    roads = {"compile_model", "compress_model", "fit_model", "estimate_model", "gather", "bench",
             "check", "retarget", "run_file", "evaluate_file", "export", "inspect_model",
             "load_compiled"}  # fmt: skip
    taken = [
        (module, target)
        for module, target in _imports()
        if module.startswith("mcuq.cli")
        and target.rpartition(".")[2] in roads
        and not target.startswith("mcuq.cli")
    ]
    assert taken == []


def test_operators_are_listed_in_their_own_room_alone() -> None:
    """Elsewhere they are asked by their traits (``ops/spec.py``), so that one more is no change.

    The exporter has a writer for each; kernels run one operator or another.
    """
    strays = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in ("ops", "kernels", "exporters", "_assets"):
            strays += _listed_operators(path)
    assert strays == []


def test_symbols_are_named_in_one_order() -> None:
    """``mcuq_<op>_<type>[_<variant>]``; one C function is both the largest and the least of two."""
    names = "|".join([*(op.name for op in OPS), "extremum"])
    ordered = re.compile(rf"mcuq_({names})_(s8|s16)(_s8|_s16)?(_[a-z0-9_]+)?")
    assert [v.symbol for v in VARIANTS if not ordered.fullmatch(v.symbol)] == []


def test_third_parties_stay_in_their_modules() -> None:
    strays = [
        (module, name)
        for module, name in _imports()
        for fenced, allowed in FENCED.items()
        if name.split(".")[0] == fenced and [*module.split("."), ""][1] not in allowed
    ]
    assert strays == []


def test_no_folder_holds_too_much_beside_each_other() -> None:
    """About 25 files that are code; READMEs and what names a package do not count."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    beside = Counter(
        path.parent.as_posix()
        for path in map(Path, tracked.splitlines())
        if path.suffix in (".py", ".c", ".h") and path.name != "__init__.py"
    )
    assert beside
    assert {folder: n for folder, n in beside.items() if n > MOST_BESIDE} == {}
    assert len([p for p in PACKAGE.glob("*.py") if not p.name.startswith("__")]) <= 12


def test_functions_are_short() -> None:
    """From ``def`` to the last line, the docstring included."""
    lines = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.name}": node.end_lineno - node.lineno + 1
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert len(lines) > 4000
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
    assert median(lines.values()) <= MEDIAN_LINES


def test_test_files_share_through_support() -> None:
    """Another folder's tests are found only where they were collected before."""
    tests = {path.stem: path for path in (ROOT / "tests").rglob("test_*.py")}
    assert tests
    strays = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in tests.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (other := tests.get(str(node.module))) is not None
        and other.parent != path.parent
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
