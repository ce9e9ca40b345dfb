"""An emulated board without an SDK: what a package is linked with in place of a vendor's startup.

The stand-ins for SDKs in ``stubs/`` are made of ``stubs/bare``, over semihosting.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mcuq.emulate.qemu import QEMU_OPTIONS
from mcuq.files import assets
from mcuq.firmware import harness
from mcuq.model.compiled import Compiled
from mcuq.reference import run_int
from mcuq.targets import boards
from mcuq.targets.boards import Board
from mcuq.targets.cores import FAMILIES

STUBS = Path(__file__).parent / "stubs"
OUTPUTS = 16  # as many values as an example prints of each


@dataclass(frozen=True)
class Bare:
    """``flags``: of every compilation and of the link; ``link``: further ones of the link.

    ``sources``: startup and the C library's needs, copied to ``folder``.
    """

    machine: Board
    folder: Path
    sources: tuple[Path, ...]

    @property
    def prefix(self) -> str:
        return f"{self.machine.toolchain}-"

    @property
    def flags(self) -> tuple[str, ...]:
        specs = FAMILIES[self.machine.toolchain].specs
        return (*self.machine.flags, *specs, f"-I{self.folder}")

    @property
    def link(self) -> tuple[str, ...]:
        return ("-nostartfiles", "-Wl,--gc-sections", f"-T{self.folder / 'linker.ld'}")

    def run(self, elf: Path) -> str:
        """What the program prints, which ends by itself."""
        command = [*self.machine.emulate_command, *QEMU_OPTIONS]
        console = ["-semihosting-config", "enable=on,target=native", "-kernel", elf]
        done = subprocess.run(
            [*command, *console],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return done.stdout


def bare(board: str, folder: Path) -> Bare:
    """The files of a board's startup in ``folder``."""
    found = boards.load(board)
    machine = boards.machine(found)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "linker.ld").write_text(harness.linker_script(machine, machine.stack))
    given = [*boards.startup_sources(found), STUBS / "bare" / "bare.c"]
    headers = [*(assets.runtime_c() / "startup").glob("*.h"), STUBS / "bare" / "bare.h"]
    for path in (*given, *headers):
        shutil.copy(path, folder)
    return Bare(machine, folder, tuple(folder / path.name for path in given))


def check_verdict(made: Compiled, text: str, verdict: str = "PASS") -> int:
    """An example's output: its verdict, and the numbers of the reference; the microseconds.

    It is printed as well: ``pytest -rP`` shows what every ecosystem's program said.
    """
    print(text)
    found = re.search(rf"{made.bundle.id}: (\w+), (\d+) us", text)
    assert found is not None, text
    assert found[1] == verdict, text
    for name, values in known_outputs(made).items():
        line = re.search(rf"^{name}:(.*)$", text, re.MULTILINE)
        assert line is not None, text
        assert [int(word) for word in line[1].split()] == values, text
    return int(found[2])


def known_outputs(made: Compiled) -> Mapping[str, list[int]]:
    """The first values of each output for the first vector, by the C's name."""
    graph = made.program.qgraph
    rows = {name: values[:1] for name, values in made.bundle.vectors.items()}
    found = run_int(graph, rows, {port.tensor for port in graph.outputs})
    ports = zip(made.facts.outputs, graph.outputs, strict=True)
    return {f.c_name: found[p.tensor].ravel()[:OUTPUTS].tolist() for f, p in ports}
