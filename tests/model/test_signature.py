"""Ed25519: the vectors of RFC 8032, and OpenSSL as a second opinion; what ``mcuq sign`` refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcuq.cli import cli
from mcuq.emit.blob import Apart, assemble
from mcuq.errors import McuqError
from mcuq.firmware import toolchain
from mcuq.model import signature

# RFC 8032, section 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b4"
        "6bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d"
        "8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
BLOB = assemble("net", bytes(16), Apart(1, ((64, b"weights"),), 80, 64))
# What stands before a public key in DER (RFC 8410).
DER = bytes.fromhex("302a300506032b6570032100")


@pytest.mark.parametrize(("seed", "key", "message", "right"), VECTORS)
def test_the_vectors_of_the_rfc(seed: str, key: str, message: str, right: str) -> None:
    assert signature.public_key(bytes.fromhex(seed)).hex() == key
    assert signature.sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == right


def sign(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["sign", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_weights_are_signed_with_a_key_that_is_kept(tmp_path: Path) -> None:
    weights, key, out = tmp_path / "w.bin", tmp_path / "secret.key", tmp_path / "signed.bin"
    weights.write_bytes(BLOB)
    first = sign(weights, "--key", key, "--new-key", "-o", out)
    whole = out.read_bytes()
    assert key.stat().st_mode & 0o77 == 0
    assert whole[:80] == BLOB
    assert len(whole) == 80 + signature.SIGNATURE
    assert sign(weights, "--key", key, "-o", out) == first
    assert out.read_bytes() == whole
    if shutil.which("openssl"):
        seed = bytes.fromhex(key.read_text())
        (tmp_path / "key.der").write_bytes(DER + signature.public_key(seed))
        (tmp_path / "signature").write_bytes(whole[80:])
        opinion = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin"]
        files = ["-inkey", "key.der", "-in", "w.bin", "-sigfile", "signature"]
        assert "Verified Successfully" in toolchain.call([*opinion, *files], 20, tmp_path)


@pytest.mark.parametrize(
    ("content", "key", "options", "words"),
    [
        (b"", None, ["--new-key"], "holds no weights"),
        (b"\x7fELF" + bytes(99), None, ["--new-key"], "holds no weights"),
        (BLOB[:-1], None, ["--new-key"], "is damaged"),
        (BLOB[:70] + b"X" + BLOB[71:], None, ["--new-key"], "is damaged"),
        (BLOB + bytes(64), None, ["--new-key"], "is signed already"),
        (BLOB, "ab" * 32, ["--new-key"], "is there already"),
        (BLOB, "ab" * 31, [], "is no key"),
        (BLOB, "x" * 64, [], "is no key"),
    ],
    ids=["empty", "elf", "cut", "changed", "signed", "key exists", "short key", "no key"],
)
def test_what_cannot_be_signed_leaves_nothing_behind(
    content: bytes, key: str | None, options: list[str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "w.bin").write_bytes(content)
    if key is not None:
        (tmp_path / "key").write_text(key)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(McuqError, match=words):
        sign(tmp_path / "w.bin", "--key", tmp_path / "key", *options, "-o", tmp_path / "o.bin")
    assert sorted(tmp_path.iterdir()) == before
