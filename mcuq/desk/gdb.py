"""A board behind a debugger's gdb server: its image is loaded, run and read through that."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcuq.desk.link import READY, SECONDS, Stop
from mcuq.desk.place import Place
from mcuq.desk.rsp import Remote
from mcuq.errors import ToolError
from mcuq.firmware import elf, harness
from mcuq.firmware.elf import Segment
from mcuq.firmware.image import Image
from mcuq.targets.cores import ARM, CORES

_XPSR, _THUMB = 25, 1 << 24  # where a stub does not number its registers, and the T bit


class GdbLink:
    """``image``: of kind gdb. See ``Link``."""

    def __init__(self, place: Place, image: Image, seconds: float | None = None) -> None:
        self.where, self.seconds = place.text, SECONDS if seconds is None else seconds
        self._image, self._elf = image, elf.read(image.elf)
        self._arm = CORES[image.board.cpu].family is ARM
        # The numbers of registers in gdb's own description of the two architectures.
        self._sp, self._return, self._pc, self._arguments = (
            (13, 14, 15, 0) if self._arm else (2, 1, 32, 10)
        )
        self._remote = Remote(place)
        self._points: list[bytes] = []

    def close(self) -> None:
        try:
            for point in self._points:
                self._remote.clear_breakpoint(point)
            self._remote.ask(b"D")
        except ToolError:
            pass  # it went away: there is nothing to let go
        finally:
            self._remote.close()

    def start(self) -> None:
        remote, known = self._remote, self._elf
        self._reset()
        if self._load():
            self._reset()
        xpsr = _xpsr(
            remote
        )  # QEMU takes single registers only from who asked for their description
        remote.set_register(self._sp, known.address("mcuq_stack_top"))
        if self._arm:
            remote.set_register(xpsr, _THUMB)
        remote.set_register(self._pc, known.address("mcuq_reset"))
        probe, self._points = self._point("mcuq_semihost_probe"), [self._point("mcuq_fault")]
        self._points.append(probe)
        self._run("mcuq_semihost_probe")
        # Nobody answers semihosting here: the image is not to ask.
        remote.write(known.address("mcuq_semihost_present"), bytes(4))
        remote.clear_breakpoint(self._points.pop())
        self._points.append(self._point("mcuq_desk_stop"))
        self._return_from_call()
        if self.go(quiet=True).step != READY:
            raise self._lost("does not begin where it should")
        self._check_status()

    def put(self, vector: bytes) -> None:
        entry, at = self._image.entry, 0
        for symbol, buffer in zip(harness.symbols(entry.inputs, "in"), entry.inputs, strict=True):
            self._remote.write(self._elf.address(symbol), vector[at : at + buffer.bytes])
            at += buffer.bytes

    def go(self, quiet: bool) -> Stop:
        address = self._elf.address("mcuq_desk_quiet")
        self._remote.write(address, int(quiet).to_bytes(4, "little"))
        self._run("mcuq_desk_stop")
        step, data, size = self._call()
        self._return_from_call()
        return Stop(step if step < 1 << 31 else READY, size, data)

    def read(self, stop: Stop) -> bytes:
        return self._remote.read(stop.address, stop.bytes) if stop.bytes else b""

    def cycles(self, count: int) -> list[int]:
        if not count:
            return []
        data = self._remote.read(self._elf.address("mcuq_desk_cycles"), 4 * count)
        return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]

    def _reset(self) -> None:
        """OpenOCD and pyOCD reset and halt; what does not know these words resets alone."""
        if not self._remote.monitor("reset halt"):
            self._remote.monitor("reset")

    def _load(self) -> bool:
        """Write what the board does not hold yet; whether that was anything."""
        blocks = _flash_blocks(self._remote.transfer("memory-map:read:"))
        erased = {b for segment in self._elf.segments for b in _covering(blocks, segment)}
        flash = [s for s in self._elf.segments if _covering(blocks, s)]
        missing = [s for s in self._elf.segments if not self._holds(s)]
        if any(segment in flash for segment in missing):
            whole = [(segment.address, segment.data) for segment in flash]
            self._remote.write_flash(sorted(erased, key=lambda block: block.start), whole)
        for segment in missing:
            if segment not in flash:
                self._remote.write(segment.address, segment.data)
            if not self._holds(segment):
                reason = f"memory at {segment.address:#x} does not hold what was written there"
                raise ToolError(self.where, reason, "Flash the board by its own tool")
        return bool(missing)

    def _holds(self, segment: Segment) -> bool:
        return self._remote.read(segment.address, len(segment.data)) == segment.data

    def _point(self, name: str) -> bytes:
        address = self._elf.address(name)
        # The bytes of the instruction there: RISC-V's longer ones end in 11.
        wide = not self._arm and self._remote.read(address, 2)[0] & 3 == 3
        return self._remote.set_breakpoint(address, 4 if wide else 2)

    def _run(self, wanted: str) -> None:
        """Go on to the function ``wanted``."""
        if not self._remote.run(self.seconds):
            raise self._lost(f"does not end a step within {self.seconds:g} s")
        at = self._remote.register(self._pc) & ~1
        if at == self._elf.address("mcuq_fault"):
            place = self._place(self._call()[0])
            raise ToolError(self.where, f"the model's image took a fault {place}")
        if at != self._elf.address(wanted):
            raise self._lost("stopped elsewhere")

    def _call(self) -> Sequence[int]:
        """The first three arguments of the function at whose beginning the core stands."""
        return [self._remote.register(self._arguments + i) for i in range(3)]

    def _return_from_call(self) -> None:
        """As if the function had returned: its breakpoint need not be stepped over."""
        self._remote.set_register(self._pc, self._remote.register(self._return) & ~1)

    def _check_status(self) -> None:
        if any(self._remote.read(self._elf.address("mcuq_desk_status"), 4)):
            reason = "its compiler does not shift negative numbers arithmetically"
            raise ToolError(self.where, reason)

    def _lost(self, what: str) -> ToolError:
        place = self._place(self._remote.register(self._pc))
        return ToolError(self.where, f"the model's image {what}; it is {place}")

    def _place(self, address: int) -> str:
        return self._elf.place(address & ~1)


def _xpsr(remote: Remote) -> int:
    """The number of xPSR in the stub's description of its registers."""
    text = remote.transfer("features:read:target.xml").decode("utf-8", "replace")
    for name in re.findall(r'<xi:include\s+href="([\w.-]+)"', text):
        text += remote.transfer(f"features:read:{name}").decode("utf-8", "replace")
    number = -1
    for register in re.findall(r"<reg\s[^>]*>", text):
        stated = re.search(r'regnum="(\d+)"', register)
        number = int(stated[1]) if stated else number + 1
        if re.search(r'name="[xc]psr"', register, re.IGNORECASE):
            return number
    return _XPSR


def _flash_blocks(document: bytes) -> list[range]:
    """The blocks that are erased at once, from the stub's memory map."""
    blocks: list[range] = []
    text = document.decode("utf-8", "replace")
    for facts, inside in re.findall(r'<memory([^>]*type="flash"[^>]*)>(.*?)</memory>', text, re.S):
        start, length = _number(r'start="', facts), _number(r'length="', facts)
        block = _number(r'name="blocksize">\s*', inside)
        if start is not None and length and block:
            blocks += [range(at, at + block) for at in range(start, start + length, block)]
    return blocks


def _number(before: str, text: str) -> int | None:
    found = re.search(rf"{before}(0x[0-9a-fA-F]+|\d+)", text)
    return int(found[1], 0) if found else None


def _covering(blocks: Sequence[range], segment: Segment) -> list[range]:
    end = segment.address + len(segment.data)
    return [block for block in blocks if block.start < end and segment.address < block.stop]
