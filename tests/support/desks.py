"""Boards on a desk that are none: QEMU behind a socket or a pty, and lines that disturb."""

from __future__ import annotations

import os
import random
import re
import select
import socket
import subprocess
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mcuq.desk.rsp import framed
from mcuq.emulate.qemu import QEMU_OPTIONS
from mcuq.targets import boards

# Without the serial line that is switched off there.
_OPTIONS = tuple(o for o in QEMU_OPTIONS if o not in ("-serial", "none", "-monitor"))

_SECOND = ("netduinoplus2",)  # QEMU's first line is USART1, people's is USART2


@contextmanager
def qemu(name: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A machine that runs until the end, whatever happens."""
    command = boards.machine(boards.load(name)).emulate_command
    process = subprocess.Popen(
        [*command, *_OPTIONS, "-monitor", "none", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def debugged(name: str, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """An empty board behind a gdb server: where it is."""
    with socket.create_server(("localhost", 0)) as found:
        port = found.getsockname()[1]
    with qemu(name, "-serial", "none", "-S", "-gdb", f"tcp:localhost:{port}") as process:
        while True:
            try:
                socket.create_connection(("localhost", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
        yield f"gdb:localhost:{port}", process


@contextmanager
def flashed(name: str, elf: Path) -> Iterator[str]:
    """A board that runs an image: its serial line."""
    others = ("-serial", "null") if name in _SECOND else ()
    with qemu(name, *others, "-serial", "pty", "-kernel", str(elf)) as process:
        assert process.stdout is not None
        words = process.stdout.readline()
        found = re.search(r"/dev/\S+", words)
        assert found, words
        yield found[0]


Disturb = Callable[[bytes], bytes]


def noise(kinds: str, rate: float) -> Disturb:
    """Bytes that are lost, doubled or changed, or come from nowhere, at this rate."""
    chance = random.Random(kinds)

    def one(byte: int) -> bytes:
        kind = chance.choice(kinds.split()) if chance.random() < rate else ""
        odd = {
            "lost": b"",
            "doubled": bytes((byte, byte)),
            "changed": bytes((byte ^ 1 << chance.randrange(8),)),
            "added": bytes((chance.randrange(256), byte)),
        }
        return odd.get(kind, bytes((byte,)))

    return lambda data: b"".join(map(one, data))


@contextmanager
def relayed(device: str, disturb: Disturb, most: int = 1 << 40) -> Iterator[str]:
    """A serial line that passes what ``disturb`` makes of the bytes; cut after ``most`` of them."""
    far = os.open(device, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(far)
    near, other = os.openpty()
    tty.setraw(near)
    name = os.ttyname(other)
    os.close(other)
    stopping = threading.Event()

    def pass_on() -> None:
        passed = 0
        while not stopping.is_set() and passed < most:
            for source in select.select([near, far], [], [], 0.02)[0]:
                try:
                    data = os.read(source, 4096)
                except OSError:  # nobody has opened the near end
                    stopping.wait(0.02)
                    continue
                passed += len(data)
                os.write(near if source == far else far, disturb(data))
        os.close(near)

    thread = threading.Thread(target=pass_on)
    thread.start()
    try:
        yield name
    finally:
        stopping.set()
        thread.join()
        os.close(far)


def _serve(peer: socket.socket, answer: Callable[[bytes], Sequence[bytes] | None]) -> None:
    held = b""
    while data := peer.recv(4096):
        held += data
        while found := re.search(rb"\$([^#]*)#..", held):
            held = held[found.end() :]
            replies = answer(found[1])
            if replies is None:
                return
            for reply in replies:
                peer.sendall(reply)


@contextmanager
def stub(answer: Callable[[bytes], Sequence[bytes] | None]) -> Iterator[str]:
    """A gdb server whose replies to a packet's payload are raw bytes; None ends the connection."""
    server = socket.create_server(("localhost", 0))

    def serve() -> None:
        # nobody came, or who came went away
        with suppress(OSError), server.accept()[0] as peer:
            _serve(peer, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"gdb:localhost:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def ok(*payloads: bytes) -> list[bytes]:
    """The acknowledgement and the packets of a stub."""
    return [b"+", *map(framed, payloads)]
