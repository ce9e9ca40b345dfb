"""A board on a serial line, with an image that ``mcuq build --serial`` made."""

from __future__ import annotations

import os
import select
import struct
import termios
import time

from mcuq.desk import frames
from mcuq.desk.link import READY, SECONDS, Stop
from mcuq.desk.place import Place
from mcuq.emit.entry import Entry
from mcuq.errors import ToolError

VERSION = 1
_TRIES = 10
_WAIT = 0.3  # for an answer, beside the time on the line
_ASK_AGAIN = 2.0  # while a step runs, the board hears nothing
_BITS = 10  # of a byte on the line
_HELLO = struct.Struct("<I16sIII")
_PLACE = struct.Struct("<IiI")


class Line:
    """An open serial line: 8 bits, no parity, one stop bit, nothing interpreted."""

    def __init__(self, place: Place) -> None:
        self.where = place.text
        speed = getattr(termios, f"B{place.baud}", None)
        if speed is None:
            raise ToolError(self.where, f"{place.baud} is no speed of a serial line")
        try:
            self._file = os.open(place.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            remedy = "Look at the cable, its name, and who may use it"
            raise ToolError(self.where, f"cannot be opened ({error.strerror})", remedy) from None
        try:
            mode = termios.CS8 | termios.CREAD | termios.CLOCAL
            control = [0] * len(termios.tcgetattr(self._file)[6])
            termios.tcsetattr(self._file, termios.TCSANOW, [0, 0, mode, 0, speed, speed, control])
        except termios.error:
            self.close()
            raise ToolError(self.where, "is no serial line", "Name its device") from None
        self._buffer = b""

    def close(self) -> None:
        os.close(self._file)

    def send(self, data: bytes, end: float) -> None:
        while data and time.monotonic() < end:
            try:
                if select.select([], [self._file], [], max(0.0, end - time.monotonic()))[1]:
                    data = data[os.write(self._file, data) :]
            except OSError:
                raise self._cut() from None

    def receive(self, end: float) -> bytes | None:
        """What stands before the next zero byte; None if there is none in time."""
        while b"\0" not in self._buffer:
            if not select.select([self._file], [], [], max(0.0, end - time.monotonic()))[0]:
                return None
            try:
                data = os.read(self._file, 4096)
            except OSError:
                data = b""
            if not data:
                raise self._cut()
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(b"\0")
        return found

    def _cut(self) -> ToolError:
        return ToolError(self.where, "the serial line was cut", "Look at the cable")


class SerialLink:
    """``identity``: of the C that the image must hold. See ``Link``."""

    def __init__(
        self, place: Place, entry: Entry, identity: bytes, seconds: float = SECONDS
    ) -> None:
        self.where, self.seconds = place.text, seconds
        self._entry, self._identity = entry, identity
        self._position = self._tag = 0
        self._again = _WAIT + 4 * _BITS * frames.MOST / place.baud
        self._line = Line(place)

    def close(self) -> None:
        self._line.close()

    def start(self) -> None:
        self._check_hello(self._ask(b"H", b"", self._again * _TRIES))
        step = self._place(self._ask(b"G", struct.pack("<IB", 0, 0), self.seconds)).step
        while step != READY:
            step = self.go(quiet=True).step

    def put(self, vector: bytes) -> None:
        for at in range(0, len(vector), frames.MOST):
            part = vector[at : at + frames.MOST]
            self._ask(b"W", struct.pack("<I", at) + part, self.seconds)

    def go(self, quiet: bool) -> Stop:
        wanted = self._position + 1
        body = struct.pack("<IB", self._position, quiet)
        found = self._place(self._ask(b"G", body, self.seconds, max(self._again, _ASK_AGAIN)))
        if self._position != wanted:
            reason = "the board lost its place: it was reset, or somebody else asks it, too"
            raise ToolError(self.where, reason)
        return found

    def read(self, stop: Stop) -> bytes:
        found = b""
        while len(found) < stop.bytes:
            count = min(frames.MOST, stop.bytes - len(found))
            part = self._ask(b"R", struct.pack("<II", len(found), count), self.seconds)
            if len(part) != count:
                raise self._strange()
            found += part
        return found

    def cycles(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            part = self._ask(b"C", struct.pack("<I", len(found)), self.seconds)
            if not part or len(part) % 4:
                raise self._strange()
            found += (number for (number,) in struct.iter_unpack("<I", part))
        return found

    def _ask(self, kind: bytes, body: bytes, seconds: float, again: float | None = None) -> bytes:
        """The body of the answer, asked for again and again until it comes whole."""
        self._tag = (self._tag + 1) & 255
        question = frames.encoded(kind, self._tag, body)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            part = min(end, time.monotonic() + (again or self._again))
            self._line.send(question, part)
            while (line := self._line.receive(part)) is not None:
                answer = frames.decoded(line)
                if answer and answer[:2] == (kind, self._tag):
                    return answer[2]
        reason = f"no answer within {seconds:.3g} s"
        remedy = "Flash what 'mcuq build --serial' makes, and look at the cable and the speed"
        raise ToolError(self.where, reason, remedy)

    def _check_hello(self, body: bytes) -> None:
        if len(body) != _HELLO.size or _HELLO.unpack(body)[0] != VERSION:
            reason = "the board's image is of another version of mcuq"
            raise ToolError(self.where, reason, "Build it again, and flash it")
        _, identity, steps, size, status = _HELLO.unpack(body)
        wanted = (self._identity, len(self._entry.steps), self._entry.input_bytes)
        if (identity, steps, size) != wanted:
            reason = f"the board runs another model than this {self._entry.id}, or other C of it"
            raise ToolError(self.where, reason, "Flash what 'mcuq build --serial' makes of it")
        if status:
            reason = "its compiler does not shift negative numbers arithmetically"
            raise ToolError(self.where, reason)

    def _place(self, body: bytes) -> Stop:
        if len(body) != _PLACE.size:
            raise self._strange()
        self._position, step, size = _PLACE.unpack(body)
        return Stop(step, size)

    def _strange(self) -> ToolError:
        return ToolError(self.where, "the board's answer makes no sense", "Build its image again")
