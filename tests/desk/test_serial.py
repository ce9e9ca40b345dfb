"""The framed protocol, over lines that lose, double and change bytes, and against odd boards."""

from __future__ import annotations

import functools
import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from desks import Disturb, flashed, noise, relayed
from tiny_model import ENTRY, FILES, affine

from mcuq.desk import frames, link, serial
from mcuq.desk.place import parse
from mcuq.desk.serial import SerialLink
from mcuq.errors import ToolError
from mcuq.files import assets
from mcuq.firmware import harness
from mcuq.firmware import image as build
from mcuq.targets import boards

VECTORS = [bytes(range(8)), bytes(8), bytes([127, 128, 255, 1, 64, 192, 2, 3])]
EXPECTED = [[vector, affine(vector)] for vector in VECTORS]
PORTS = {"mps2_an386": "cmsdk_uart", "riscv32_virt": "ns16550", "netduinoplus2": "stm32_usart"}
IDENTITY = harness.identity(FILES, ENTRY)
FAST = "@4000000"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @functools.cache
    def make(name: str) -> Path:
        port = assets.runtime_c() / "ports" / f"mcuq_port_{PORTS[name]}.c"
        folder = tmp_path_factory.mktemp(name)
        extra = {"mcuq_port.c": port.read_text()}
        return build.compile_image(
            FILES, ENTRY, boards.load(name), folder, "serial", extra=extra
        ).elf

    return make


def opened(device: str, identity: bytes = IDENTITY) -> SerialLink:
    return SerialLink(parse(f"serial:{device}{FAST}"), ENTRY, identity, 20)


@pytest.mark.parametrize(
    "body", [b"", b"\0", bytes(200), bytes(range(1, 255)), b"\1" * 248, b"a\0b"]
)
def test_frames_hold_any_bytes(body: bytes) -> None:
    line = frames.encoded(b"W", 9, body)
    assert line[0] == line[-1] == 0
    assert 0 not in line[1:-1]
    assert frames.decoded(line[1:-1]) == (b"W", 9, body)


def test_a_changed_frame_is_none() -> None:
    line = frames.encoded(b"W", 9, b"some\0bytes")[1:-1]
    for at in range(len(line)):
        for bit in range(8):
            changed = line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :]
            assert frames.decoded(changed) is None
        assert frames.decoded(line[:at]) is None
        assert frames.decoded(line[:at] + line[at + 1 :]) is None


@pytest.mark.emulated
@pytest.mark.parametrize("name", PORTS)
def test_every_tensor_comes_back(name: str, image: Callable[[str], Path]) -> None:
    with flashed(name, image(name)) as device, closing(opened(device)) as board:
        board.start()
        assert link.trace(board, VECTORS, ENTRY) == EXPECTED
        spent = link.cycles(board, VECTORS[0], ENTRY)
        assert spent is not None
        assert spent[0] < spent[1]


@pytest.mark.emulated
def test_a_session_takes_over_where_another_was_cut(image: Callable[[str], Path]) -> None:
    with flashed("mps2_an386", image("mps2_an386")) as device:
        with closing(opened(device)) as board:
            board.start()
            assert board.go(quiet=False).step == 0
        with closing(opened(device)) as board:
            board.start()
            assert link.trace(board, VECTORS, ENTRY) == EXPECTED


@pytest.mark.emulated
@pytest.mark.parametrize(
    "disturb",
    [
        noise("lost", 0.006),
        noise("doubled", 0.006),
        noise("changed", 0.006),
        noise("added", 0.006),
        noise("lost doubled changed added", 0.012),
        lambda data: data + data,
    ],
    ids=["lost", "doubled", "changed", "added", "all", "twice"],
)
def test_noise_changes_nothing(
    disturb: Disturb, image: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial, "_WAIT", 0.05)
    monkeypatch.setattr(serial, "_ASK_AGAIN", 0.1)
    monkeypatch.setattr(serial, "_TRIES", 100)
    with (
        flashed("mps2_an386", image("mps2_an386")) as device,
        relayed(device, disturb) as line,
        closing(opened(line)) as board,
    ):
        board.start()
        assert link.trace(board, VECTORS, ENTRY) == EXPECTED


@pytest.mark.emulated
def test_a_line_that_is_cut_is_one_line(image: Callable[[str], Path]) -> None:
    with (
        flashed("mps2_an386", image("mps2_an386")) as device,
        relayed(device, bytes, 300) as line,
        closing(opened(line)) as board,
    ):
        board.start()
        with pytest.raises(ToolError, match="the serial line was cut"):
            link.trace(board, VECTORS * 9, ENTRY)


@pytest.mark.emulated
def test_another_model_on_the_board_is_refused(image: Callable[[str], Path]) -> None:
    with (
        flashed("mps2_an386", image("mps2_an386")) as device,
        closing(opened(device, bytes(16))) as board,
        pytest.raises(ToolError, match="runs another model than this tiny"),
    ):
        board.start()


Board = Callable[[bytes, bytes], bytes | None]


@contextmanager
def fake(answer: Board) -> Iterator[str]:
    """A board that answers frames by a function of kind and body; None: not at all."""
    near, other = os.openpty()
    tty.setraw(other)
    held = b""

    def serve() -> None:
        nonlocal held
        while data := os.read(near, 4096):
            held += data
            *whole, held = held.split(b"\0")
            for line in whole:
                if line == b"end":
                    return
                if found := frames.decoded(line):
                    body = answer(found[0], found[2])
                    if body is not None:
                        os.write(near, frames.encoded(found[0], found[1], body))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(other)
    finally:
        os.write(other, b"\0end\0")
        thread.join()
        os.close(near)
        os.close(other)


def hello(version: int = 1, status: int = 0) -> bytes:
    return serial._HELLO.pack(version, IDENTITY, 2, 8, status)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda kind, body: None, "no answer within"),
        (lambda kind, body: hello(2), "of another version of mcuq"),
        (lambda kind, body: b"", "of another version of mcuq"),
        (lambda kind, body: hello(1, 104), "does not shift negative numbers"),
        (lambda kind, body: hello() if kind == b"H" else b"?", "makes no sense"),
        (
            lambda kind, body: hello() if kind == b"H" else serial._PLACE.pack(7, 0, 8),
            "the board lost its place",
        ),
    ],
)
def test_odd_boards_are_one_line(
    answer: Board, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial, "_TRIES", 2)
    with fake(answer) as device, closing(opened(device)) as board:
        with pytest.raises(ToolError, match=words) as caught:
            board.start()
        assert "\n" not in str(caught.value)


def test_what_is_no_line_is_refused() -> None:
    for text, words in (
        ("serial:/dev/null", "is no serial line"),
        ("serial:/dev/none/such", "cannot be opened"),
        ("serial:/dev/null@1234", "1234 is no speed"),
    ):
        with pytest.raises(ToolError, match=words):
            SerialLink(parse(text), ENTRY, IDENTITY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gdb",
        "gdb:",
        "gdb:host",
        "gdb:host:0",
        "gdb:h:99999",
        "tcp:x:1",
        "serial:",
        "serial:/dev/tty@0",
    ],
)
def test_what_names_no_board_is_refused(text: str) -> None:
    with pytest.raises(ToolError, match="names no board"):
        parse(text)
