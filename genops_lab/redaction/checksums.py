"""Check the checksums that some tokens end with."""

from __future__ import annotations

import zlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62_crc32(text: str) -> str:
    """Return the six characters that tokens of GitHub and npm end with: CRC-32 in base 62.

    Source: github.blog, "Behind GitHub's new authentication token formats" (2021).

    >>> base62_crc32("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ")
    '0mLq17'
    """
    rest, digits = zlib.crc32(text.encode()), ""
    while rest:
        rest, digit = divmod(rest, 62)
        digits = _DIGITS[digit] + digits
    return digits.rjust(6, "0")


def is_checked_token(token: str) -> bool:
    """Return whether a token such as ``ghp_`` with 36 characters has the right checksum."""
    body = token.rpartition("_")[2]
    return base62_crc32(body[:-6]) == body[-6:]


def passes_luhn(digits: str) -> bool:
    """Return whether the last digit of a card's number is the right one (ISO/IEC 7812-1).

    >>> passes_luhn("4111111111111111")
    True
    """
    total = 0
    for place, character in enumerate(reversed(digits)):
        digit = int(character) * (1 + place % 2)
        total += digit - 9 * (digit > 9)
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Return whether an account number without spaces has the right check digits (ISO 13616: 97 leaves 1).

    >>> is_iban("DE89370400440532013000")
    True
    """
    moved = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
