"""Find variables that hold secrets, by their names, and their present values."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, Iterable, List, Mapping, Set
from urllib.parse import quote, quote_plus

#: A shorter value would be found by chance in any text.
MIN_VALUE = 6
MAX_VALUES = 500
MAX_VALUE = 20_000

_PATTERN = r"TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|CREDENTIAL|(?:API|ACCESS|PRIVATE|AUTH|ACCOUNT)[_-]?KEY"
#: Finds where a secret's name may begin in a text; :func:`is_secret_name` judges the whole name.
NAME_PATTERN = rf"(?:{_PATTERN}|PASS|PWD|PW)"
_SECRET = re.compile(_PATTERN, re.IGNORECASE)
#: As the last word of a name: ``DB_PASS``, ``dbPwd``; not ``forward_pass``.
_SHORT = re.compile(r"(?:^|[_-]|(?<=[a-z0-9])(?=P))(?:[Pp]ass|PASS|[Pp]wd|PWD|[Pp]w|PW)\d*$")
_PASS_OF_WORK = re.compile(
    r"(?:^|[_-])(?:NUM|N|MAX|MIN|FORWARD|BACKWARD|FWD|BWD|LOW|HIGH|BAND|ALL|ONE|TWO|SINGLE|MULTI|FIRST|SECOND|THIRD|LAST|"
    r"NEXT|PREV|PER|EACH|BY|TRAIN|TRAINING|EVAL|TEST|VAL|IS|DID|THIS)[_-]PASS$",
    re.IGNORECASE,
)
#: A key of 32 or 40 hexadecimal digits looks like a digest; only its name differs.
HEX_KEY = r"(?<![0-9a-zA-Z])(?:[0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-zA-Z])"
_HEX_KEY = re.compile(HEX_KEY)
HEX_NAME = (
    r"(?i:\b(?!\w*(?:cache|public|primary|sort|foreign|hash|group|partition|signing|fingerprint|dedup|commit|digest))"
    r"\w*(?:key|login|wandb))"
)
_HEX_NAME = re.compile(HEX_NAME + "$")
#: Counts, and the tokens of language models and parsers.
_HARMLESS = re.compile(
    r"TOKENI[ZS]|TOKENS?_?(?:ID|COUNT|LEN|LIMIT|TYPE|KIND|IDX|INDEX|PATTERN|USAGE|CLASS)S?(?:_|\b)"
    r"|(?:^|_)(?:MAX|MIN|NUM|N|NEW|TOTAL|BOS|EOS|PAD|UNK|SEP|CLS|MASK|SPECIAL|STOP|START|END|NEXT|PREV|LAST|FIRST)_?"
    r"(?:NEW_)?TOKENS?(?:_STR)?$|_(?:FILE|PATH|DIR|FOLDER|NAME|URL|URI|TTL|EXPIRY|EXPIRES)$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]+")
#: Kept because earlier cells may print the old value of a variable.
_seen: Dict[str, None] = {}


def is_secret_name(name: str) -> bool:
    """Return whether a variable, parameter or key of this name holds a secret (``HF_TOKEN``,
    ``db_password``).
    """
    if _SECRET.search(name):
        return not _HARMLESS.search(name)
    return bool(_SHORT.search(name)) and not _PASS_OF_WORK.search(name)


def is_secret(name: str, value: object) -> bool:
    """Return whether a variable holds a secret: by its name, or because a ``key``'s text looks like a secret."""
    return is_secret_name(name) or (
        isinstance(value, str) and bool(_HEX_KEY.fullmatch(value)) and bool(_HEX_NAME.match(name))
    )


def remember(values: Iterable[str]) -> None:
    """Treat these texts as secrets from now on, whatever variable holds them."""
    for value in values:
        if len(value.strip()) >= MIN_VALUE and len(value) <= MAX_VALUE:
            _seen.pop(value, None)
            _seen[value] = None
    for value in list(_seen)[: max(0, len(_seen) - MAX_VALUES)]:
        _seen.pop(value, None)


def current_values(namespace: Mapping[str, Any]) -> List[str]:
    """Return the values of secret-named variables of the environment and ``namespace``, now or at an earlier
    call.

    The longest come first. Texts of 6 characters and more, also as they are written in Python, JSON and URLs.
    """
    found: Set[str] = set()
    for name, value in list(os.environ.items()):
        if is_secret(name, value) and not _is_path(value):
            found.add(value)
    for name, value in list(namespace.items()):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "ignore")
        # `for token in text.split()` is not a secret.
        if (
            isinstance(value, str)
            and is_secret(name, value)
            and not (name == "token" and _WORD.fullmatch(value))
            and not _is_path(value)
        ):
            found.add(value)
    remember(found)
    spelled: Set[str] = set()
    for value in list(_seen):
        spelled.update((value, value.strip(), repr(value)[1:-1], json.dumps(value)[1:-1]))
        spelled.update((quote(value, safe=""), quote_plus(value)))
    return sorted(spelled, key=lambda text: (-len(text), text))


def _is_path(value: str) -> bool:
    """Return whether a value is the path of an existing file or folder: PWD is the present folder."""
    try:
        return os.path.isabs(value) and os.path.exists(value)
    except ValueError:  # a null byte
        return False
