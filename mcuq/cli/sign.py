"""The command that signs weights."""

from __future__ import annotations

from pathlib import Path

import click

from mcuq.errors import DataError, McuqError


@click.command()
@click.argument("weights", type=click.Path())
@click.option("--key", required=True, type=click.Path(), help="A file with the secret key.")
@click.option("--new-key", is_flag=True, help="Make the key, where there is no such file yet.")
@click.option("-o", "--out", required=True, type=click.Path(), help="FILE.bin: with signature.")
def sign(weights: str, key: str, new_key: bool, out: str) -> None:
    """Sign WEIGHTS, which compile --weights blob wrote: Ed25519.

    The public key that is printed goes into the firmware (docs/weights.md).
    """
    from mcuq.cli.paths import check_paths
    from mcuq.cli.show import say
    from mcuq.files import read_file, write_file
    from mcuq.model import signature

    check_paths([weights, key], {"-o": out}, None, (".bin",))
    content = read_file(Path(weights), 1 << 30)
    signature.signed(content, bytes(signature.SEED), weights)  # refused before a key is made
    seed = _new_seed(key) if new_key else _seed(key)
    write_file(Path(out), signature.signed(content, seed, weights))
    say(f"{out}: {len(content)} bytes of weights, {signature.SIGNATURE} of signature")
    say(f"public key: {', '.join(f'0x{byte:02x}' for byte in signature.public_key(seed))}")


def _new_seed(path: str) -> bytes:
    import os
    import secrets

    seed = secrets.token_bytes(32)
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise McuqError(path, "is there already", "Leave --new-key out to use it") from None
    with os.fdopen(made, "w") as file:
        file.write(f"{seed.hex()}\n")
    return seed


def _seed(path: str) -> bytes:
    from mcuq.files import read_file

    try:
        seed = bytes.fromhex(read_file(Path(path)).decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise DataError(path, "is no key: 64 hexadecimal digits", "Make one with --new-key")
    return seed
