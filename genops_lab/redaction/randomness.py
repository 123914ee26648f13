"""Find strings that look random, and know the public ones: hashes, ids, digests, pictures and paths."""

from __future__ import annotations

import math
import re
from typing import Match, Optional, Tuple

CANDIDATE = r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}(?![A-Za-z0-9+/_(-])"
QUOTED_HEX = r"(?<=[\"'])[0-9a-fA-F]{33,200}(?=[\"'])"
_BEYOND_HEX = re.compile(r"[g-zG-Z]")
#: Letters and digits that are public: a UUID, also with a word before it (``GPU-...``).
_UUID = re.compile(r"(?:[A-Za-z]+-)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGEST = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![A-Za-z0-9])")
_DIGEST_LENGTHS = (32, 40, 56, 64, 96, 128)
_DIGEST_BEFORE = re.compile(
    r"(?:sha\d{1,3}|md5|blake2[bs]?|integrity|etag|checksum|ssh-[a-z0-9-]+|base64)\W{1,6}(?:W/\")?$",
    re.IGNORECASE,
)
#: Ids that providers of models give to answers, calls and files; they open nothing.
_PROVIDERS_ID = re.compile(
    r"(?:chatcmpl|cmpl|call|msg|run|req|resp|rs|fc|fcall|toolu|srvtoolu|tool|gen|thread|step|asst|file|batch|item|"
    r"ftjob|container|evt|trace|span|tr|ws|ig|cntr|ft)[-_][A-Za-z0-9_-]{8,80}"
)
#: Digests as npm and browsers write them, public keys, and the first bytes of certificates and pictures.
_PUBLIC = (
    *("sha1-", "sha256-", "sha384-", "sha512-", "AAAAB3", "AAAAC3", "AAAAE2"),
    *("MIIB", "MIIC", "MIID", "MIIE", "MIIF", "MIIG", "iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "PHN2Zy"),
)
_PATH_BEFORE = re.compile(r"[~.][/\w.-]*$|[\w:]/$|[A-Za-z]:\\[\w\\.-]*$|://[^\s\"']*$")
_WORD_OF_PATH = re.compile(r"[A-Za-z]{3,}|\d{1,4}")
_MIN_ENTROPY_BITS = 3.6
#: In random letters and digits 4 of 10 neighbours change their class (other than from a capital to a small
#: letter), in camelCase names with digits 2 of 10.
_MIN_CHANGES = 0.27
#: A longer text is a picture or an archive, not a secret.
_MAX_CANDIDATE = 400


def random_text(match: Match[str]) -> Optional[Tuple[int, int]]:
    """Return the place of a candidate that looks random and is not public."""
    text = match.group()
    if len(text) > _MAX_CANDIDATE or not is_random(_DIGEST.sub("", text)):
        return None
    if text.startswith(_PUBLIC) or _UUID.fullmatch(text) or _PROVIDERS_ID.fullmatch(text):
        return None
    before = match.string[max(0, match.start() - 60) : match.start()]
    if _DIGEST_BEFORE.search(before) or _is_path(text, before):
        return None
    return match.span()


def _is_path(text: str, before: str) -> bool:
    """Return whether a text is a part of a path whose parts do not look random by themselves."""
    if "/" not in text or "+" in text or text.endswith("="):
        return False
    if not (text.startswith("/") or text.count("/") >= 2 or _PATH_BEFORE.search(before)):
        return False
    parts = [part for part in text.split("/") if part]
    return any(_WORD_OF_PATH.fullmatch(part) for part in parts) and not any(
        len(part) >= 20 and is_random(part) for part in parts
    )


def random_hex(match: Match[str]) -> Optional[Tuple[int, int]]:
    """Return the place of hexadecimal digits in quotes, unless they are as many as a digest has."""
    return None if len(match.group()) in _DIGEST_LENGTHS else match.span()


def is_random(text: str) -> bool:
    """Return whether a text of letters and digits looks random.

    Uses Shannon's entropy in bits a character, and how often neighbours are of different classes.
    """
    classes = [_class(character) for character in text]
    kinds = set(classes)
    if "0" not in kinds or not kinds & {"a", "A"}:
        return False
    if not {"a", "A"} <= kinds and (len(text) < 24 or "-" in kinds or not _BEYOND_HEX.search(text)):
        return False
    pairs = [
        (one, other)
        for one, other in zip(classes, classes[1:])  # noqa: B905, RUF007
        if one != "-" and other != "-"
    ]
    changes = sum(one != other and one + other != "Aa" for one, other in pairs)
    if changes < _MIN_CHANGES * max(len(pairs), 1):
        return False
    shares = [text.count(character) / len(text) for character in set(text)]
    return -sum(share * math.log2(share) for share in shares) >= _MIN_ENTROPY_BITS


def _class(character: str) -> str:
    if character.isdigit():
        return "0"
    return "a" if character.islower() else "A" if character.isupper() else "-"
