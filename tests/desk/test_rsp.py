"""The protocol of gdb, against servers that each do something else than QEMU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import pytest
from desks import ok, stub

from mcuq.desk.place import parse
from mcuq.desk.rsp import Remote, escaped, expanded, framed
from mcuq.errors import ToolError

Answer = Callable[[bytes], Sequence[bytes] | None]


def plain(packet: bytes) -> Sequence[bytes] | None:
    known = {b"qS": b"PacketSize=80", b"?": b"S05", b"m0": b"00000000", b"pf": b"00000000"}
    return ok(known.get(packet[:2], b"T05" if packet == b"c" else b"OK"))


def but(**replies: object) -> Answer:
    """``plain``, with other replies to packets that begin with a name."""

    def answer(packet: bytes) -> Sequence[bytes] | None:
        for start, reply in replies.items():
            if packet.startswith(start.encode()):
                return reply(packet) if callable(reply) else reply
        return plain(packet)

    return answer


@contextmanager
def connected(answer: Answer, seconds: float = 5) -> Iterator[Remote]:
    with stub(answer) as where, closing(Remote(parse(where), seconds)) as remote:
        yield remote


@pytest.mark.parametrize("data", [b"#$}*", bytes(range(256))])
def test_binary_data_survives(data: bytes) -> None:
    assert expanded(escaped(data)) == data


@pytest.mark.parametrize(
    ("raw", "text"), [(b"0* ", b"0000"), (b'a*"b', b"aaaaaab"), (b"}\x0a", b"*")]
)
def test_run_lengths_are_expanded(raw: bytes, text: bytes) -> None:
    assert expanded(raw) == text


def test_memory_is_read_in_parts_that_fit() -> None:
    asked = []

    def memory(packet: bytes) -> list[bytes]:
        asked.append(packet)
        at, count = (int(v, 16) for v in packet[1:].split(b","))
        return ok(bytes((at + i) & 255 for i in range(count)).hex().encode())

    with connected(but(m=memory)) as remote:
        assert remote.read(0x20000000, 200) == bytes(range(200))
    assert len(asked) == 4
    assert asked[0] == b"m20000000,38"


def test_a_reply_with_a_wrong_sum_is_asked_for_again() -> None:
    """The stub's own view: '-' is no packet, so it sends both at once."""
    with connected(but(m=[b"+", b"$0102#00", framed(b"0102")])) as remote:
        assert remote.read(0, 2) == b"\x01\x02"


def test_a_packet_is_sent_again_if_asked_for() -> None:
    seen: list[bytes] = []

    def once_more(packet: bytes) -> list[bytes]:
        seen.append(packet)
        return [b"-"] if len(seen) == 1 else ok(b"0a")

    with connected(but(m=once_more)) as remote:
        assert remote.read(0, 1) == b"\x0a"
    assert seen == [b"m0,1", b"m0,1"]


def test_console_output_and_notifications_are_passed_over() -> None:
    replies = [b"+", framed(b"O48690a"), b"%Stop:T05#aa", framed(b"T02thread:01;"), framed(b"OK")]
    with connected(but(qRcmd=replies)) as remote:
        assert remote.monitor("reset halt")


def test_a_stub_without_hardware_breakpoints_sets_software_ones() -> None:
    with connected(but(Z1=ok(b""))) as remote:
        assert remote.set_breakpoint(0x100, 2) == b"0,100,2"
    with (
        connected(but(Z=ok(b"E01"))) as remote,
        pytest.raises(ToolError, match="no breakpoint can be set"),
    ):
        remote.set_breakpoint(0x100, 2)


def test_flash_is_erased_by_blocks_and_written_in_binary() -> None:
    seen = []

    def flash(packet: bytes) -> list[bytes]:
        seen.append(packet)
        return ok(b"OK")

    with connected(but(vFlash=flash)) as remote:
        remote.write_flash([range(0x8000, 0x8400)], [(0x8010, b"#" + bytes(50))])
    assert seen == [
        b"vFlashErase:8000,400",
        b"vFlashWrite:8010:}\x03" + bytes(39),
        b"vFlashWrite:8038:" + bytes(11),
        b"vFlashDone",
    ]


def test_a_document_comes_in_parts() -> None:
    parts = {b"0": b"mabc", b"3": b"ld"}

    def document(packet: bytes) -> list[bytes]:
        return ok(parts[packet.rpartition(b":")[2].split(b",")[0]])

    with connected(but(qXfer=document)) as remote:
        assert remote.transfer("memory-map:read:") == b"abcd"
    with connected(but(qXfer=ok(b""))) as remote:
        assert remote.transfer("memory-map:read:") == b""


def everything(where: str) -> None:
    with closing(Remote(parse(where), 0.3)) as remote:
        remote.read(0, 4)
        remote.write(0, bytes(4))
        remote.register(15)
        remote.set_register(15, 0)
        remote.write_flash([range(16)], [(0, bytes(4))])
        remote.run(0.3)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda packet: [b"HTTP/1.1 400\r\n" * 8000], "does not speak the protocol of gdb"),
        (lambda packet: [], "does not answer within 0.3 s"),
        (lambda packet: None, "the debugger's server ended the connection"),
        (but(m=ok(b"E0e")), "memory at 0x0 cannot be read (it answers 'E0e')"),
        (but(m=ok(b"zz")), "memory at 0x0 cannot be read (it answers 'zz')"),
        (but(m=lambda packet: None), "the debugger's server ended the connection"),
        (but(M=ok(b"E01")), "memory at 0x0 cannot be written (it answers 'E01')"),
        (but(p=ok(b"")), "register 15 cannot be read (not supported)"),
        (but(P=ok(b"")), "register 15 cannot be written (not supported)"),
        (but(vFlash=ok(b"")), "flash at 0x0 cannot be erased (not supported)"),
        (but(vFlashW=ok(b"E.memtype")), "flash at 0x0 cannot be written (it answers 'E.memtype')"),
        (but(c=ok(b"W00")), "the program cannot go on (it answers 'W00')"),
        (but(c=ok(b"X0b")), "the program cannot go on"),
        (but(c=[b"+"]), "does not answer within 0.3 s"),
    ],
)
def test_faults_are_one_line(answer: Answer, words: str) -> None:
    with stub(answer) as where, pytest.raises(ToolError) as caught:
        everything(where)
    assert str(caught.value).startswith(where)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_the_name_of_a_host_is_one_line() -> None:
    with pytest.raises(ToolError, match="cannot be reached"):
        Remote(parse(f"gdb:{'a' * 64}:3333"))
