"""The GDB Remote Serial Protocol, as much of it as every stub has ("Debugging with GDB", appendix).

Packets only, no gdb: distributions' gdb lacks most cores, and what OpenOCD, pyOCD, J-Link, st-util
and QEMU have in common is this protocol, not a version of that program. Nothing that one of them
lacks is relied on: memory by m and M, registers by p and P, hardware breakpoints or else software
ones, c; flash by vFlash where the stub states a memory map.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable
from contextlib import suppress

from mcuq.desk.place import Place
from mcuq.errors import ToolError

_ANSWER = 10.0
_FLASH = 60.0
_NOISE = 1 << 16  # so many bytes that are no packet are passed over
_PACKET = 400  # what a stub takes that does not say more
_MOST = 4096


def checksum(payload: bytes) -> bytes:
    """Two digits.

    >>> checksum(b"OK")
    b'9a'
    """
    return b"%02x" % (sum(payload) & 255)


def framed(payload: bytes) -> bytes:
    """``$payload#checksum``; ``payload`` is escaped already."""
    return b"$%b#%b" % (payload, checksum(payload))


def escaped(data: bytes) -> bytes:
    """Binary data in a packet."""
    return re.sub(rb"[#$}*]", lambda found: bytes((0x7D, found[0][0] ^ 0x20)), data)


def expanded(raw: bytes) -> bytes:
    """A reply without escapes and run lengths.

    >>> expanded(b"0* ")
    b'0000'
    """
    out = bytearray()
    rest = iter(raw)
    for byte in rest:
        if byte == 0x7D:
            out.append(next(rest, 0) ^ 0x20)
        elif byte == 0x2A:
            out += out[-1:] * (next(rest, 29) - 29)
        else:
            out.append(byte)
    return bytes(out)


class Remote:
    """A connection to a stub, which has halted the core. ToolError names ``where``."""

    def __init__(self, place: Place, seconds: float = _ANSWER) -> None:
        self.where, self.seconds = place.text, seconds
        self._buffer = b""
        self._socket = _connected(place, seconds)
        try:
            features = self.ask(b"qSupported").decode("ascii", "replace")
            size = re.search(r"PacketSize=([0-9a-fA-F]+)", features)
            self.packet = min(int(size[1], 16) if size else _PACKET, _MOST)
            self.features = features
            self.ask(b"?")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def ask(self, packet: bytes, seconds: float | None = None) -> bytes:
        """The reply to ``packet``, whose payload is escaped already.

        Console output is dropped, and a stop that nobody waits for, such as that of connecting.
        """
        end = time.monotonic() + (self.seconds if seconds is None else seconds)
        self._send(packet)
        try:
            reply = self._reply(packet, end)
            while re.match(rb"O(?!K$)|[TS][0-9a-fA-F]{2}", reply) and packet != b"?":
                reply = self._reply(b"", end)
        except TimeoutError:
            raise self._silent() from None
        return reply

    def read(self, address: int, count: int) -> bytes:
        """``count`` bytes of memory."""
        found = bytearray()
        most = self.packet // 2 - 8
        while len(found) < count:
            at, part = address + len(found), min(most, count - len(found))
            reply = self.ask(b"m%x,%x" % (at, part))
            found += self._hex(reply, f"memory at {at:#x} cannot be read")
        return bytes(found[:count])

    def write(self, address: int, data: bytes) -> None:
        """Write to RAM."""
        most = self.packet // 2 - 24
        for at in range(0, len(data), most):
            part = data[at : at + most]
            head = b"M%x,%x:" % (address + at, len(part))
            self._good(head + part.hex().encode(), f"memory at {address + at:#x} cannot be written")

    def register(self, number: int) -> int:
        reply = self.ask(b"p%x" % number)
        return int.from_bytes(self._hex(reply, f"register {number} cannot be read"), "little")

    def set_register(self, number: int, value: int) -> None:
        text = value.to_bytes(4, "little").hex().encode()
        self._good(b"P%x=%b" % (number, text), f"register {number} cannot be written")

    def monitor(self, command: str) -> bool:
        """Whether the stub knew ``command``, as far as it says."""
        return self.ask(b"qRcmd,%b" % command.encode().hex().encode()) == b"OK"

    def set_breakpoint(self, address: int, kind: int) -> bytes:
        """Set one; what ``clear_breakpoint`` takes."""
        for number in (b"1", b"0"):
            point = b"%b,%x,%x" % (number, address, kind)
            if self.ask(b"Z" + point) == b"OK":
                return point
        raise ToolError(self.where, f"no breakpoint can be set at {address:#x}")

    def clear_breakpoint(self, point: bytes) -> None:
        self.ask(b"z" + point)

    def run(self, seconds: float) -> bool:
        """Go on until the core stops; False if it had to be stopped after ``seconds``."""
        self._send(b"c")
        stopped = self._stopped(time.monotonic() + seconds)
        if not stopped:
            self._write(b"\x03")
            if not self._stopped(time.monotonic() + self.seconds):
                raise self._silent()
        return stopped

    def transfer(self, what: str) -> bytes:
        """A document of the stub's; empty if it has none."""
        found = b""
        while True:
            request = f"qXfer:{what}:{len(found):x},{self.packet - 8:x}"
            reply = self.ask(request.encode())
            found += reply[1:] if reply[:1] in b"lm" else b""
            if reply[:1] != b"m" or len(reply) < 2:
                return found

    def write_flash(self, blocks: Iterable[range], parts: Iterable[tuple[int, bytes]]) -> None:
        """Erase ``blocks``, then program ``parts``, each an address and what is to be there."""
        for block in blocks:
            request = b"vFlashErase:%x,%x" % (block.start, len(block))
            self._good(request, f"flash at {block.start:#x} cannot be erased", _FLASH)
        most = self.packet // 2 - 24
        for address, data in parts:
            for at in range(0, len(data), most):
                request = b"vFlashWrite:%x:%b" % (address + at, escaped(data[at : at + most]))
                self._good(request, f"flash at {address + at:#x} cannot be written", _FLASH)
        self._good(b"vFlashDone", "flash cannot be written", _FLASH)

    def _good(self, packet: bytes, fault: str, seconds: float | None = None) -> None:
        reply = self.ask(packet, seconds)
        if reply != b"OK":
            raise ToolError(self.where, f"{fault} ({_shown(reply)})")

    def _hex(self, reply: bytes, fault: str) -> bytes:
        with suppress(ValueError):
            if found := bytes.fromhex(reply.decode("ascii")):
                return found
        raise ToolError(self.where, f"{fault} ({_shown(reply)})")

    def _stopped(self, end: float) -> bool:
        while True:
            try:
                reply = self._reply(b"", end)
            except TimeoutError:
                return False
            if reply[:1] in (b"T", b"S"):
                return True
            if reply[:1] in (b"W", b"X", b"E"):
                raise ToolError(self.where, f"the program cannot go on ({_shown(reply)})")

    def _send(self, payload: bytes) -> None:
        self._write(framed(payload))

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            raise self._closed() from None

    def _reply(self, packet: bytes, end: float) -> bytes:
        """The next packet; ``packet`` is sent again if the stub asks for that."""
        for _ in range(_NOISE):
            start = self._take(1, end)
            if start == b"-" and packet:
                self._send(packet)
            elif start == b"%":  # a notification: nobody acknowledges it
                self._payload(end)
            elif start == b"$":
                payload = self._payload(end)
                self._write(b"-" if payload is None else b"+")
                if payload is not None:
                    return expanded(payload)
        raise ToolError(self.where, "does not speak the protocol of gdb", "Name a gdb server")

    def _payload(self, end: float) -> bytes | None:
        """Up to the checksum; None if that is wrong."""
        payload = self._until(b"#", end)
        return payload if self._take(2, end).lower() == checksum(payload) else None

    def _until(self, mark: bytes, end: float) -> bytes:
        while mark not in self._buffer:
            self._more(end)
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _take(self, count: int, end: float) -> bytes:
        while len(self._buffer) < count:
            self._more(end)
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _more(self, end: float) -> None:
        self._socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            raise
        except OSError:
            raise self._closed() from None
        if not data:
            raise self._closed()
        self._buffer += data

    def _closed(self) -> ToolError:
        return ToolError(self.where, "the debugger's server ended the connection")

    def _silent(self) -> ToolError:
        return ToolError(self.where, f"does not answer within {self.seconds:g} s")


def _connected(place: Place, seconds: float) -> socket.socket:
    try:
        if place.path:
            stream = socket.socket(socket.AF_UNIX)
            stream.settimeout(seconds)
            stream.connect(place.path)
            return stream
        stream = socket.create_connection((place.host, place.port), seconds)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream
    except (OSError, UnicodeError) as error:  # UnicodeError: of what cannot be a host's name
        reason = f"cannot be reached ({getattr(error, 'strerror', None) or error})"
        remedy = "Start the debugger's server, such as OpenOCD, and look at its port"
        raise ToolError(place.text, reason, remedy) from None


def _shown(reply: bytes) -> str:
    text = reply[:40].decode("ascii", "replace")
    return f"it answers '{text}'" if text else "not supported"
