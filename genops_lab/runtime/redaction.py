"""Remove secrets from a text before it is written.

Secrets are known tokens (:mod:`.token_patterns`), the present values of secret-named variables, texts
assigned to secret names, and strings that look random. A mark replaces each: ``[redacted: github token]``.
Redacting twice changes nothing more, and the number of lines stays.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Callable, Dict, Iterable, List, Match, Optional, Pattern, Tuple

from .secret_names import NAME_PATTERN, is_secret_name
from .token_patterns import KINDS, PATTERNS

VARIABLE = "secret variable"
ASSIGNED = "secret value"
RANDOM = "high-entropy string"

#: The form of a mark; its group is the kind.
MARK = re.compile(
    r"\[redacted: ({})\]".format("|".join(re.escape(kind) for kind in (*KINDS, VARIABLE, ASSIGNED, RANDOM)))
)

Counts = Dict[str, int]
_Replace = Callable[[Match[str]], Optional[Tuple[int, int]]]

# A text in quotes, assigned to a secret name: Python, JSON, YAML, TOML, keyword arguments, environment
# variables.
_QUOTED = re.compile(
    r"(?i)(?P<name>" + NAME_PATTERN + r"[\w-]*)(?P<of>[\"']?\]?\s*(?::\s*[\w.\[\], |]{1,40}=|:=|[:=]|=>)\s*)"
    r"[rbuf]{0,2}(?P<quote>[\"'])(?P<value>[^\"'\r\n]{6,500})(?P=quote)"
)
_NAME_BEFORE = re.compile(r"[\w.-]*$")
#: ``NAME=value`` of a shell or an .env file, ``name: value`` of YAML: without quotes.
_BARE = re.compile(
    r"(?im)(?P<name>" + NAME_PATTERN + r"[\w-]*)(?:=|[ \t]*:[ \t]+|[ \t]+=[ \t]+)"
    r"(?P<value>[^\s\"'()\[\]{}<>,;$]{6,500})(?=[ \t]*(?:#.*)?$|[ \t])"
)
#: A placeholder, or the source of a value.
_PLACEHOLDER = re.compile(
    r"(?i)\s|\.\.\.|\{[\w.()\[\]]*\}|\$[{(]|^\$\w+$|%\(|%[sd]|<[\w-]+>|\*{3}|^/[\w./-]*$"
    r"|^(?:your|my|the|some|an?|enter|insert|replace|change)[-_ ]|^x{4,}|example|placeholder|changeme|dummy|redacted"
    r"|^(?:none|null|true|false|string|str|bytes|optional|required|unset|default|secret|token|password|passwd)$"
)
_CONSTANT_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|--?[a-z][a-z-]*|[A-Za-z]+(?:[._-][A-Za-z]+)+")
#: The default that a program uses if an environment variable is missing.
_DEFAULT = re.compile(
    r"(?:\bgetenv|\benviron\.(?:get|setdefault)|\bpop)\(\s*[\"'](?P<name>\w+)[\"']\s*,\s*(?:default\s*=\s*)?"
    r"[rbuf]{0,2}(?P<quote>[\"'])(?P<value>[^\"'\r\n]{4,500})(?P=quote)"
)
#: Equally many names and texts: ``user, password = "ada", "..."``.
_TUPLE = re.compile(
    r"(?m)^[ \t]*\(?(?P<names>\w+(?:[ \t]*,[ \t]*\w+)+)\)?[ \t]*=[ \t]*"
    r"\(?(?P<values>[\"'][^\"'\n]*[\"'](?:[ \t]*,[ \t]*[\"'][^\"'\n]*[\"'])+)"
)
_IN_QUOTES = re.compile(r"[\"']([^\"']*)[\"']")
#: A setting of a connection: ``host=db user=ada password=...`` (libpq), ``Server=db;User Id=ada;Pwd=...``
#: (ADO, ODBC).
_CONNECTION = re.compile(
    r"(?i)(?<![\w.-])(?:password|passwd|pwd|pass)[ \t]*=[ \t]*(?P<value>(?![{$<%*])[^\s;\"'&,]{4,200})(?=[\s;\"'&]|$)"
)
_SETTING = r"(?:[A-Za-z_]\w*|data source|initial catalog|user id|application name)[ \t]*=[ \t]*"
_SETTING_BEFORE = re.compile(rf"(?i)(?:^|[;\s]){_SETTING}[^\s;,=]+[ \t]*[;\s][ \t]*$")
_SETTING_AFTER = re.compile(rf"(?i)^[ \t]*[;\s][ \t]*{_SETTING}")
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]")

_CANDIDATE = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}(?![A-Za-z0-9+/_(-])")
_BEYOND_HEX = re.compile(r"[g-zG-Z]")
_QUOTED_HEX = re.compile(r"(?<=[\"'])[0-9a-fA-F]{33,200}(?=[\"'])")
#: Letters and digits that are public: a UUID, also with a word before it (``GPU-...``).
_UUID = re.compile(r"(?:[A-Za-z]+-)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGEST = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![A-Za-z0-9])")
_DIGEST_LENGTHS = (32, 40, 56, 64, 96, 128)
_DIGEST_BEFORE = re.compile(
    r"(?:sha\d{1,3}|md5|blake2[bs]?|integrity|ssh-[a-z0-9-]+|base64)\W{1,4}$", re.IGNORECASE
)
_MIN_ENTROPY_BITS = 3.6
#: In random letters and digits 4 of 10 neighbours change their class (other than from a capital to a small
#: letter), in camelCase names with digits 2 of 10.
_MIN_CHANGES = 0.27
#: A longer text is a picture or an archive, not a secret.
_MAX_CANDIDATE = 400


def mark(kind: str) -> str:
    """Return the mark that replaces a secret of this kind."""
    return f"[redacted: {kind}]"


def marks_in(text: str) -> Counts:
    """Return how many marks of each kind a text has."""
    return dict(Counter(found.group(1) for found in MARK.finditer(text)))


def added(one: Counts, other: Counts) -> Counts:
    """Return the sums of two counts."""
    return {kind: one.get(kind, 0) + other.get(kind, 0) for kind in (*one, *other)}


class Redactor:
    """Removes secrets from texts. ``values`` are further texts to remove, the longest first."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = [value for value in values if value]
        self._rules: List[Tuple[str, Tuple[str, ...], Pattern[str], _Replace]] = []
        if self._values:
            whole = re.compile("|".join(_anywhere(value) for value in self._values))
            self._rules.append((VARIABLE, tuple(self._values), whole, _all))
        self._rules += [(kind, hints, pattern, _secret_part) for kind, hints, pattern in PATTERNS]
        self._rules += [
            (ASSIGNED, ("=", ":"), _QUOTED, _assigned),
            (ASSIGNED, ("=", ":"), _BARE, _assigned_bare),
            (ASSIGNED, ("getenv", "environ", "pop"), _DEFAULT, _assigned),
            (ASSIGNED, ("=",), _TUPLE, _assigned_together),
            (ASSIGNED, ("=",), _CONNECTION, _of_a_connection),
            (RANDOM, (), _CANDIDATE, _random),
            (RANDOM, (), _QUOTED_HEX, _random_hex),
        ]

    def redact(self, text: str) -> str:
        """Return the text with marks in place of secrets."""
        # A mark may change how the text around it looks, so each piece is searched until nothing more is
        # found. A piece that had a secret gets shorter, so the loop ends.
        done: List[str] = []
        waiting = _pieces(text)
        while waiting:
            is_mark, piece = waiting.pop()
            redacted = None if is_mark or not piece else self._without_one_kind(piece)
            if redacted is None:
                done.append(piece)
            else:
                waiting += _pieces(redacted)
        return "".join(done)

    def _without_one_kind(self, text: str) -> Optional[str]:
        """Redact what the first applicable rule finds; None if no rule applies."""
        for kind, hints, pattern, secret in self._rules:
            if hints and not any(hint in text for hint in hints):
                continue
            pieces: List[str] = []
            end = 0
            for match in pattern.finditer(text):
                span = secret(match)
                if span is None or span[0] < end:
                    continue
                pieces += (text[end : span[0]], _marks(kind, text[span[0] : span[1]]))
                end = span[1]
            if pieces:
                return "".join((*pieces, text[end:]))
        return None


def _pieces(text: str) -> List[Tuple[bool, str]]:
    """Return the pieces, last first: whether each is a mark, and its text."""
    found: List[Tuple[bool, str]] = []
    end = 0
    for match in MARK.finditer(text):
        found += ((False, text[end : match.start()]), (True, match.group()))
        end = match.end()
    found.append((False, text[end:]))
    return found[::-1]


def _marks(kind: str, secret: str) -> str:
    # One a line, after the sign of a diff.
    _, *others = secret.split("\n")
    return "\n".join(
        [mark(kind), *(line[:1] * (line[:1] in (" ", "+", "-")) + mark(kind) for line in others)]
    )


def _anywhere(value: str) -> str:
    # A short value that is a word is searched as a whole word.
    escaped = re.escape(value)
    return rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])" if len(value) < 10 and value.isalnum() else escaped


def _all(match: Match[str]) -> Optional[Tuple[int, int]]:
    return match.span()


def _secret_part(match: Match[str]) -> Optional[Tuple[int, int]]:
    return match.span(1) if match.re.groups else match.span()


def _assigned(match: Match[str]) -> Optional[Tuple[int, int]]:
    begin = match.start("name")
    before = _NAME_BEFORE.search(match.string, max(0, begin - 60), begin)
    name, value = (before.group() if before else "") + match.group("name"), match.group("value")
    if not is_secret_name(name) or _PLACEHOLDER.search(value) or _CONSTANT_NAME.fullmatch(value):
        return None
    if value.isalpha() and "token" in name.lower():
        return None  # of a parser
    return match.span("value")


def _assigned_bare(match: Match[str]) -> Optional[Tuple[int, int]]:
    name, value = match.group("name"), match.group("value")
    # A lower-case name may also be a Python name.
    is_name = value.replace(".", "").isidentifier() and not name.isupper()
    if not (_DIGIT.search(value) and _LETTER.search(value)) or is_name:
        return None
    # "PASS: test_loader2" is the result of a test.
    return None if match.group().startswith("PASS:") else _assigned(match)


def _assigned_together(match: Match[str]) -> Optional[Tuple[int, int]]:
    names = [name.strip() for name in match.group("names").split(",")]
    values = list(_IN_QUOTES.finditer(match.group("values")))
    for name, value in zip(names, values):  # noqa: B905 - Python 3.8
        text = value.group(1)
        if len(text) >= 6 and is_secret_name(name) and not _PLACEHOLDER.search(text):
            begin = match.start("values")
            return begin + value.start(1), begin + value.end(1)
    return None


def _of_a_connection(match: Match[str]) -> Optional[Tuple[int, int]]:
    """Return the password's place in a quoted text with other settings; commas are those of Python's
    arguments.
    """
    text = match.string
    begin = max(text.rfind(sign, max(0, match.start() - 500), match.start()) for sign in "\"'\n")
    ends = [end for sign in "\"'\n" if (end := text.find(sign, match.end(), match.end() + 500)) >= 0]
    if begin < 0 or not ends or text[begin] == "\n" or text[min(ends)] == "\n":
        return None
    before, after = text[begin + 1 : match.start()], text[match.end() : min(ends)]
    beside = _SETTING_BEFORE.search(before) or _SETTING_AFTER.search(after)
    return match.span("value") if beside and not _PLACEHOLDER.search(match.group("value")) else None


def _random(match: Match[str]) -> Optional[Tuple[int, int]]:
    text = match.group()
    if len(text) > _MAX_CANDIDATE or not is_random(_DIGEST.sub("", text)):
        return None
    before = match.string[max(0, match.start() - 24) : match.start()]
    public = text.startswith(_PUBLIC) or _UUID.fullmatch(text) or _DIGEST_BEFORE.search(before)
    return None if public else match.span()


#: Digests as npm and browsers write them, and public keys.
_PUBLIC = ("sha1-", "sha256-", "sha384-", "sha512-", "AAAAB3", "AAAAC3", "AAAAE2")


def _random_hex(match: Match[str]) -> Optional[Tuple[int, int]]:
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
