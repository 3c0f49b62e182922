"""Bytes that are almost right."""

import random

_WORDS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\u0000",
    b"\xff",
    b"-1",
    b"1e999",
    b"null",
    b"{{",
    b"}}",
    b"%d",
    b"\r\n",
    b"~",
)


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """Cut, repeat, flip and insert a few times."""
    data = bytearray(seed)
    for _ in range(chance.randint(0, 6)):
        at = chance.randint(0, len(data))
        upto = min(len(data), at + chance.randint(0, 8))
        match chance.randint(0, 4):
            case 0:
                del data[at:upto]
            case 1:
                data[at:at] = data[at:upto] * chance.randint(1, 50)
            case 2:
                data[at:at] = chance.choice(_WORDS)
            case 3:
                data[at:upto] = bytes(chance.randint(0, 255) for _ in range(upto - at))
            case _:
                data[at:at] = seed[chance.randint(0, len(seed)) :]
    return bytes(data)
