"""modules.py BUILD PRJ_CONF MODULE...: what the CMake part asks of Zephyr's scripts.

A module's metadata is held against the schema, and Kconfig's values become those of CMake.
"""

from __future__ import annotations

import sys
from pathlib import Path

import kconfiglib
import yaml
from pykwalify.core import Core

# The keys of zephyr/module.yml that a package of mcuq may have, of Zephyr's documentation.
SCHEMA = {
    "type": "map",
    "mapping": {
        "name": {"type": "str"},
        "build": {
            "type": "map",
            "mapping": {
                "cmake": {"type": "str"},
                "kconfig": {"type": "str"},
                "depends": {"type": "seq", "sequence": [{"type": "str"}]},
            },
        },
        "tests": {"type": "seq", "sequence": [{"type": "str"}]},
        "samples": {"type": "seq", "sequence": [{"type": "str"}]},
    },
}

# What a sample sets of Zephyr's own.
OWN = "config MAIN_STACK_SIZE\n\tint\n\tdefault 1024\n\n"


def main(build: Path, settings: Path, modules: list[Path]) -> None:
    """Write configuration.cmake: CONFIG_ values, and the CMake folder of each module."""
    folders, sources = [], []
    for module in modules:
        meta = yaml.safe_load((module / "zephyr" / "module.yml").read_text())
        Core(source_data=meta, schema_data=SCHEMA).validate()
        folders.append(module / meta["build"]["cmake"])
        sources.append(f'osource "{module / meta["build"]["kconfig"]}"\n')
        assert all((module / sample).is_dir() for sample in meta["samples"])
    (build / "Kconfig").write_text(OWN + "".join(sources))
    kconfig = kconfiglib.Kconfig(str(build / "Kconfig"), warn_to_stderr=False)
    kconfig.warn_assign_undef = True
    kconfig.load_config(str(settings))
    assert not kconfig.warnings, kconfig.warnings
    lines = [f'set(CONFIG_{s.name} "{s.str_value}")' for s in kconfig.unique_defined_syms]
    lines.append(f"set(module_folders {' '.join(map(str, folders))})")
    (build / "configuration.cmake").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name).resolve() for name in sys.argv[3:]])
