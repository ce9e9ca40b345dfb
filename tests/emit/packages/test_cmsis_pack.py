"""The CMSIS-Pack, read by cmsis-pack-manager and built from what its description says."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import bare_board
import c_programs
import ecosystem_tools
import pytest
from exported import digits, export

from mcuq.emit.packages import About

ABOUT = About("2.3.4", "Jane Doe <jane@example.org>", "https://example.org/packs/")
# A device, which the manager lists with the pack that it is from.
DEVICE = """<devices>
<family Dfamily="Made up" Dvendor="Jane:7">
<processor Dcore="Cortex-M4" DcoreVersion="r0p1" Dfpu="SP_FPU" Dmpu="MPU" Dendian="Little-endian"/>
<device Dname="MADE_UP"><memory id="IROM1" start="0" size="0x1000" default="1"/></device>
</family>
</devices>
</package>"""
COMPONENT = "./components/component[@Csub='digits']"


def installed(folder: Path) -> tuple[Path, ElementTree.Element]:
    """The pack unpacked, as tools do it, and its description."""
    pack = export("cmsis-pack", folder / "JaneDoe.digits.2.3.4.pack", ABOUT)
    zipfile.ZipFile(pack).extractall(folder / "pack")
    return folder / "pack", ElementTree.parse(folder / "pack" / "JaneDoe.digits.pdsc").getroot()


def test_the_manager_reads_what_pack_it_is(tmp_path: Path) -> None:
    place, _ = installed(tmp_path)
    description = place / "JaneDoe.digits.pdsc"
    description.write_text(description.read_text().replace("</package>", DEVICE))
    places = [f"--{what}-path={tmp_path}" for what in ("json", "data")]
    command = [ecosystem_tools.find("pack-manager"), "add-packs", *places, description]
    c_programs.run(command, tmp_path)
    found = json.loads((tmp_path / "index.json").read_text())["MADE_UP"]["from_pack"]
    given = {"vendor": "JaneDoe", "pack": "digits", "version": "2.3.4", "url": ABOUT.url}
    assert found == given


@pytest.mark.emulated
def test_the_component_runs_to_the_same_numbers(tmp_path: Path) -> None:
    """Its include folder and its sources, and the template that the user would add."""
    place, read = installed(tmp_path)
    board = bare_board.bare("mps2_an386", tmp_path / "board")
    files = read.findall(f"{COMPONENT}/files/file")
    sources = [place / f.attrib["name"] for f in files if f.attrib["category"] == "source"]
    includes = [f"-I{place / f.attrib['name']}" for f in files if f.attrib["category"] == "include"]
    device = bare_board.STUBS / "cmsis"
    defines = ['-DCMSIS_device_header="device.h"', f"-I{device}"]
    command = [f"{board.prefix}gcc", *board.flags, *includes, *defines, "-std=gnu11", "-O0"]
    command += ["-Wall", "-Wextra", "-Werror", *board.link, device / "device.c"]
    c_programs.run([*command, *sources, *board.sources, "-o", "app"], tmp_path)
    assert 1000 < bare_board.check_verdict(digits(), board.run(tmp_path / "app")) < 100_000


def test_the_description_names_what_there_is(tmp_path: Path) -> None:
    """Every file exists and every C file is named; conditions that are used are defined."""
    place, read = installed(tmp_path)
    named = {f.attrib["name"] for f in read.iter("file")} | {read.findtext("license")}
    assert all((place / name).exists() for name in named)
    assert {str(p.relative_to(place)) for p in place.rglob("*.[ch]")} <= named
    used = {e.attrib["condition"] for e in read.iter() if "condition" in e.attrib}
    assert used == {e.attrib["id"] for e in read.iter("condition")}
    assert read.find(COMPONENT).attrib["Cversion"] == "2.3.4"
    assert (read.findtext("vendor"), read.findtext("name")) == ("JaneDoe", "digits")
    assert read.findtext("url") == ABOUT.url
