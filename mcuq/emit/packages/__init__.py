"""Artifact -> Artifact: a compiled model as a package of an ecosystem of firmware.

An ecosystem is a row of ``ECOSYSTEMS``: where the C lies, and the files that are added, each with
its template. Whatever differs between them is in these templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from mcuq.emit import Artifact, render, stamp
from mcuq.emit.facts import ModelFacts
from mcuq.errors import McuqError, closest
from mcuq.version import __version__

_VERSION = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}")
_URL = re.compile(r"(https?://[\x21\x23-\x3b\x3d\x3f-\x7e]+)?")
# The line of a kernel's file that gives its symbol a digest: equal kernels have equal ones.
_SYMBOL = re.compile(r"^#define mcuq_\w+ (mcuq_\w+)$", re.MULTILINE)
# In the compiled folder's README, how the model is called.
_CALL = re.compile(r"^```c$.*?^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(\w+)\[")
# Of the compiled folder's own files, those that a package replaces by its own.
_REPLACED = ("CMakeLists.txt", "Makefile", "README.md")


@dataclass(frozen=True)
class About:
    """What a package says of itself: ``version`` as 1.2.3, who wrote it, and where it is found."""

    version: str = "1.0.0"
    author: str = "mcuq"
    url: str = ""

    def __post_init__(self) -> None:
        """McuqError names the first that no package may say."""
        if not _VERSION.fullmatch(self.version):
            raise McuqError(f"version '{self.version}'", "is not of the form 1.2.3")
        if not self.vendor or not self.author.isprintable():
            raise McuqError(f"author '{self.author}'", "is no name", "Use letters or digits")
        if not _URL.fullmatch(self.url):
            raise McuqError(f"url '{self.url}'", "is no address that begins with https://")

    @property
    def vendor(self) -> str:
        """The author as part of a file's name.

        >>> About(author="Jane Doe <jane@example.org>").vendor
        'JaneDoe'
        """
        return re.sub(r"[^A-Za-z0-9_-]", "", self.author.partition("<")[0])


@dataclass(frozen=True)
class Ecosystem:
    """One kind of package.

    ``source``: the folder of the C, "" or with a slash behind it. ``files``: templates in
    ``packages/`` by path, in which {id} is the model's, {vendor} the author's name. ``archive``:
    the name of the whole package as one file, in which {version} stands, too; ``nested``: whether
    its files lie below a folder called like the model.
    """

    name: str
    title: str
    source: str
    files: Mapping[str, str]
    archive: str = "{id}-{version}.zip"
    nested: bool = True


_EXAMPLE = "examples/selftest"

ECOSYSTEMS = (
    Ecosystem(
        "arduino",
        "library for the Arduino IDE and arduino-cli",
        "src/",
        {
            "library.properties": "arduino/library.properties.j2",
            "README.md": "arduino/README.md.j2",
            f"{_EXAMPLE}/selftest.ino": "arduino/selftest.ino.j2",
        },
    ),
    Ecosystem(
        "platformio",
        "library for PlatformIO",
        "src/",
        {
            "library.json": "platformio/library.json.j2",
            "README.md": "platformio/README.md.j2",
            f"{_EXAMPLE}/platformio.ini": "platformio/platformio.ini.j2",
            f"{_EXAMPLE}/src/main.cpp": "arduino/selftest.ino.j2",
        },
    ),
    Ecosystem(
        "esp-idf",
        "component for ESP-IDF",
        "src/",
        {
            "idf_component.yml": "esp-idf/idf_component.yml.j2",
            "CMakeLists.txt": "esp-idf/CMakeLists.txt.j2",
            "README.md": "esp-idf/README.md.j2",
            f"{_EXAMPLE}/CMakeLists.txt": "esp-idf/project.cmake.j2",
            f"{_EXAMPLE}/main/CMakeLists.txt": "esp-idf/main.cmake.j2",
            f"{_EXAMPLE}/main/idf_component.yml": "esp-idf/main.yml.j2",
            f"{_EXAMPLE}/main/main.c": "esp-idf/main.c.j2",
        },
    ),
    Ecosystem(
        "zephyr",
        "module for Zephyr",
        "src/",
        {
            "zephyr/module.yml": "zephyr/module.yml.j2",
            "zephyr/CMakeLists.txt": "zephyr/CMakeLists.txt.j2",
            "zephyr/Kconfig": "zephyr/Kconfig.j2",
            "README.md": "zephyr/README.md.j2",
            "samples/selftest/CMakeLists.txt": "zephyr/project.cmake.j2",
            "samples/selftest/prj.conf": "zephyr/prj.conf.j2",
            "samples/selftest/sample.yaml": "zephyr/sample.yaml.j2",
            "samples/selftest/src/main.c": "zephyr/main.c.j2",
        },
    ),
    Ecosystem(
        "cmsis-pack",
        "CMSIS-Pack for Keil, IAR, Arm and csolution tools",
        "src/",
        {
            "{vendor}.{id}.pdsc": "cmsis-pack/pack.pdsc.j2",
            "README.md": "cmsis-pack/README.md.j2",
            f"{_EXAMPLE}/main.c": "cmsis-pack/main.c.j2",
        },
        archive="{vendor}.{id}.{version}.pack",
        nested=False,
    ),
    Ecosystem(
        "cmake",
        "CMake package, for find_package and FetchContent",
        "src/",
        {
            "CMakeLists.txt": "cmake/CMakeLists.txt.j2",
            "README.md": "cmake/README.md.j2",
            f"{_EXAMPLE}/CMakeLists.txt": "cmake/project.cmake.j2",
            f"{_EXAMPLE}/main.c": "cmake/main.c.j2",
        },
    ),
    Ecosystem(
        "pico",
        "library for the Raspberry Pi Pico SDK",
        "src/",
        {
            "CMakeLists.txt": "pico/CMakeLists.txt.j2",
            "README.md": "pico/README.md.j2",
            f"{_EXAMPLE}/CMakeLists.txt": "pico/project.cmake.j2",
            f"{_EXAMPLE}/main.c": "pico/main.c.j2",
        },
    ),
    Ecosystem(
        "cubeide",
        "linked folder for STM32CubeIDE",
        "",
        {
            "README.md": "cubeide/README.md.j2",
            "linked-folder.xml": "cubeide/linked-folder.xml.j2",
            "{id}_example.c": "cubeide/example.c.j2",
            "{id}_example.h": "cubeide/example.h.j2",
        },
    ),
)


def ecosystem(name: str) -> Ecosystem:
    """The one called ``name``; McuqError names the closest."""
    found = {row.name: row for row in ECOSYSTEMS}
    if name not in found:
        raise McuqError(f"ecosystem '{name}'", "is unknown", closest(name, found))
    return found[name]


def package(kind: Ecosystem, files: Artifact, facts: ModelFacts, about: About) -> dict[str, str]:
    """The package by path: the C of ``files`` in its folder, metadata, README and an example.

    The example needs the self-test that a compiled folder brings.
    """
    moved = {
        f"{kind.source}{path}" if path.endswith((".c", ".h")) else path: text
        for path, text in files.items()
        if path not in _REPLACED
    }
    context = {
        "m": facts,
        "about": about,
        "version": __version__,
        "licence": stamp.LICENCE,
        "sources": sorted(path for path in moved if path.endswith(".c")),
        "kernels": _kernels(moved),
        "buffers": facts.selftest_parameters,
        "arguments": [_NAME.findall(text)[0] for text in facts.selftest_parameters],
        "call": "".join(_CALL.findall(files["README.md"])),
        "headers": sorted(path for path in moved if path.endswith(".h")),
        "include": kind.source.rstrip("/") or ".",
    }
    added = {
        path.format(id=facts.id, vendor=about.vendor): render(f"packages/{template}", context)
        for path, template in kind.files.items()
    }
    return {**moved, **added}


def _kernels(files: Artifact) -> list[tuple[str, str]]:
    """The symbol and the path of each kernel, which other models may bring, too."""
    found = ((path, _SYMBOL.search(text)) for path, text in files.items() if _is_kernel(path))
    return sorted((symbol[1], path) for path, symbol in found if symbol)


def _is_kernel(path: str) -> bool:
    return PurePosixPath(path).parent.name == "kernels" and path.endswith(".c")


def archive_name(kind: Ecosystem, facts: ModelFacts, about: About) -> str:
    """What the package is called as one file."""
    return kind.archive.format(id=facts.id, vendor=about.vendor, version=about.version)
