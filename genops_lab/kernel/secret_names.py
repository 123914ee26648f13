"""Which variables hold secrets, by their names, and what they hold now."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, Mapping, Set
from urllib.parse import quote, quote_plus

#: A shorter value would be found by chance in any text.
MIN_VALUE = 6
MAX_VALUES = 500
MAX_VALUE = 20_000

NAME_PATTERN = (
    r"(?:TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|CREDENTIAL|(?:API|ACCESS|PRIVATE|AUTH|ACCOUNT)_?KEY)"
)
_SECRET = re.compile(NAME_PATTERN, re.IGNORECASE)
#: Counts, and the tokens of language models and parsers.
_HARMLESS = re.compile(
    r"TOKENI[ZS]|TOKENS?_?(?:ID|COUNT|LEN|LIMIT|TYPE|KIND|IDX|INDEX|PATTERN|USAGE|CLASS)S?(?:_|\b)"
    r"|(?:^|_)(?:MAX|MIN|NUM|N|NEW|TOTAL|BOS|EOS|PAD|UNK|SEP|CLS|MASK|SPECIAL|STOP|START|END|NEXT|PREV|LAST|FIRST)_?"
    r"(?:NEW_)?TOKENS?(?:_STR)?$|_(?:FILE|PATH|DIR|FOLDER|NAME|URL|URI|TTL|EXPIRY|EXPIRES)$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]+")
#: A session's earlier cells may show what a variable has lost meanwhile.
_seen: Dict[str, None] = {}


def is_secret_name(name: str) -> bool:
    """Whether a variable, parameter or key of this name holds a secret (``HF_TOKEN``, ``db_password``)."""
    return bool(_SECRET.search(name)) and not _HARMLESS.search(name)


def current_values(namespace: Mapping[str, Any]) -> List[str]:
    """What secret-named variables of the environment and of ``namespace`` hold now, or held at an earlier call, the
    longest first.

    Texts of 6 characters and more, also as they are written in Python, JSON and URLs.
    """
    found: Set[str] = set()
    for name, value in list(os.environ.items()):
        if is_secret_name(name) and not (os.path.isabs(value) and os.path.exists(value)):
            found.add(value)
    for name, value in list(namespace.items()):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "ignore")
        # `for token in text.split()` is no secret.
        if (
            isinstance(value, str)
            and is_secret_name(name)
            and not (name == "token" and _WORD.fullmatch(value))
        ):
            found.add(value)
    for value in found:
        if len(value.strip()) >= MIN_VALUE and len(value) <= MAX_VALUE:
            _seen.pop(value, None)
            _seen[value] = None
    for value in list(_seen)[: max(0, len(_seen) - MAX_VALUES)]:
        _seen.pop(value, None)
    spelled: Set[str] = set()
    for value in list(_seen):
        spelled.update((value, value.strip(), repr(value)[1:-1], json.dumps(value)[1:-1]))
        spelled.update((quote(value, safe=""), quote_plus(value)))
    return sorted(spelled, key=lambda text: (-len(text), text))


def without_secret_names(values: Mapping[str, Any]) -> Dict[str, Any]:
    """The entries whose names are harmless."""
    return {name: value for name, value in values.items() if not is_secret_name(name)}
