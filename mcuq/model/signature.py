"""Ed25519 signatures of weights (RFC 8032, section 5.1), behind the blob that they sign.

For whoever releases weights, on a computer of his own: not in constant time.
"""

from __future__ import annotations

import hashlib

from mcuq.emit import blob
from mcuq.errors import DataError

SEED, KEY, SIGNATURE = 32, 32, 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
# x, y, z and t with x/z, y/z on the curve and t = x*y/z.
_Point = tuple[int, int, int, int]
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)
_ZERO: _Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    """The 32 bytes that go into the firmware, of the 32 secret ones."""
    return _encoded(_times(_scalar(seed), _BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of a signature; the same each time."""
    scalar, prefix = _scalar(seed), hashlib.sha512(seed).digest()[32:]
    nonce = _number(prefix + message)
    point = _encoded(_times(nonce, _BASE))
    challenge = _number(point + public_key(seed) + message)
    return point + ((nonce + challenge * scalar) % _ORDER).to_bytes(32, "little")


def signed(weights: bytes, seed: bytes, where: str) -> bytes:
    """The blob ``weights`` with its signature behind it; DataError if it is no blob, or has one."""
    if len(weights) < blob.HEADER or blob.length_of(weights) is None:
        raise DataError(where, "holds no weights", "Name what compile --weights blob has written")
    length = blob.length_of(weights)
    if length != len(weights) or not blob.is_sound(weights):
        reason = "is signed already" if length == len(weights) - SIGNATURE else "is damaged"
        raise DataError(where, reason, "Name the file that compile has written")
    return weights + sign(seed, weights)


def _scalar(seed: bytes) -> int:
    digest = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return (digest & ((1 << 254) - 8)) | (1 << 254)


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % _ORDER


def _sum(a: _Point, b: _Point) -> _Point:
    """RFC 8032, section 5.1.4."""
    first, second = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    third, fourth = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = second - first, fourth - third, fourth + third, second + first
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    total = _ZERO
    while scalar:
        if scalar & 1:
            total = _sum(total, point)
        point = _sum(point, point)
        scalar >>= 1
    return total


def _encoded(point: _Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
