"""Find texts that are assigned to secret names: in code, settings, environment variables and connections."""

from __future__ import annotations

import re
from typing import Match, Optional, Tuple

from .secret_names import NAME_PATTERN, is_secret_name

# A text in quotes, assigned to a secret name: Python, JSON, YAML, TOML, keyword arguments, environment
# variables.
QUOTED = (
    r"(?i)(?P<name>"
    + NAME_PATTERN
    + r"[\w-]{0,60})(?P<of>[\"']?\]?\s*(?::\s*[\w.\[\], |]{1,40}=|:=|[:=]|=>)\s*)"
    r"[rbuf]{0,2}(?P<quote>[\"'])(?P<value>[^\"'\r\n]{6,500})(?P=quote)"
)
_NAME_BEFORE = re.compile(r"[\w.-]*$")
#: ``NAME=value`` of a shell or an .env file, ``name: value`` of YAML: without quotes.
BARE = (
    r"(?im)(?P<name>" + NAME_PATTERN + r"[\w-]{0,60})(?:=|[ \t]*:[ \t]+|[ \t]+=[ \t]+)"
    r"(?P<value>[^\s\"'()\[\]{}<>,;$]{6,500})(?=[ \t]*(?:#.*)?$|[ \t])"
)
#: A placeholder, or the source of a value.
PLACEHOLDER = re.compile(
    r"(?i)\s|\.\.\.|\{[\w.()\[\]]*\}|\$[{(]|^\$\w+$|%\(|%[sd]|<[\w-]+>|\*{3}|^/[\w./-]*$"
    r"|^(?:your|my|the|some|an?|enter|insert|replace|change)[-_ ]|^x{4,}|example|placeholder|changeme|dummy|redacted"
    r"|^(?:none|null|true|false|string|str|bytes|optional|required|unset|default|secret|token|password|passwd)$"
)
_CONSTANT_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|--?[a-z][a-z-]*|[A-Za-z]+(?:[._-][A-Za-z]+)+")
#: The default that a program uses if an environment variable is missing.
DEFAULT = (
    r"(?:\bgetenv|\benviron\.(?:get|setdefault)|\bpop)\(\s*[\"'](?P<name>\w+)[\"']\s*,\s*(?:default\s*=\s*)?"
    r"[rbuf]{0,2}(?P<quote>[\"'])(?P<value>[^\"'\r\n]{4,500})(?P=quote)"
)
#: Equally many names and texts: ``user, password = "ada", "..."``.
TUPLE = (
    r"(?m)^[ \t]*\(?(?P<names>\w+(?:[ \t]*,[ \t]*\w+)+)\)?[ \t]*=[ \t]*"
    r"\(?(?P<values>[\"'][^\"'\n]*[\"'](?:[ \t]*,[ \t]*[\"'][^\"'\n]*[\"'])+)"
)
_IN_QUOTES = re.compile(r"[\"']([^\"']*)[\"']")
#: A setting of a connection: ``host=db user=ada password=...`` (libpq), ``Server=db;User Id=ada;Pwd=...``
#: (ADO, ODBC).
CONNECTION = (
    r"(?i)(?<![\w.-])(?:password|passwd|pwd|pass)[ \t]*=[ \t]*"
    r"(?P<value>(?![{$<%*])[^\s;\"'&,]{4,200})(?=[\s;\"'&]|$)"
)
_SETTING = r"(?:[A-Za-z_]\w*|data source|initial catalog|user id|application name)[ \t]*=[ \t]*"
_SETTING_BEFORE = re.compile(rf"(?i)(?:^|[;\s]){_SETTING}[^\s;,=]+[ \t]*[;\s][ \t]*$")
_SETTING_AFTER = re.compile(rf"(?i)^[ \t]*[;\s][ \t]*{_SETTING}")
#: As people say it in a chat: "the password is ...".
SPOKEN = (
    r"(?i)\b(?P<name>pass(?:word|phrase|code)|(?:api|access|secret)[ -]key|secret|token|credential)s?"
    r"(?: (?:for|of|to) (?:\w{1,30} ){1,4})? ?(?:is|was|=|:)[ :]{1,2}[\"'`]?(?P<value>[^\s\"'`,;]{6,200})"
)
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]")


def assigned(match: Match[str]) -> Optional[Tuple[int, int]]:
    """Return the place of the value, unless the name is harmless or the value stands in for one."""
    begin = match.start("name")
    before = _NAME_BEFORE.search(match.string, max(0, begin - 60), begin)
    name, value = (before.group() if before else "") + match.group("name"), match.group("value")
    if not is_secret_name(name) or PLACEHOLDER.search(value) or _CONSTANT_NAME.fullmatch(value):
        return None
    if value.isalpha() and "token" in name.lower():
        return None  # of a parser
    return match.span("value")


def assigned_bare(match: Match[str]) -> Optional[Tuple[int, int]]:
    """Return the place of a value without quotes: letters and digits, and no name of Python."""
    name, value = match.group("name"), match.group("value")
    # A lower-case name may also be a Python name.
    is_name = value.replace(".", "").isidentifier() and not name.isupper()
    if not (_DIGIT.search(value) and _LETTER.search(value)) or is_name:
        return None
    # "PASS: test_loader2" is the result of a test.
    return None if match.group().startswith("PASS:") else assigned(match)


def spoken(match: Match[str]) -> Optional[Tuple[int, int]]:
    """Return the place of a value with letters and digits that a sentence tells."""
    begin = match.start("value")
    value = match.group("value").rstrip(".!?)")
    if not (_DIGIT.search(value) and _LETTER.search(value)) or PLACEHOLDER.search(value) or len(value) < 6:
        return None
    return begin, begin + len(value)


def assigned_together(match: Match[str]) -> Optional[Tuple[int, int]]:
    """Return the place of the text that stands where a secret's name stands among the names."""
    names = [name.strip() for name in match.group("names").split(",")]
    values = list(_IN_QUOTES.finditer(match.group("values")))
    for name, value in zip(names, values):  # noqa: B905 - Python 3.8
        text = value.group(1)
        if len(text) >= 6 and is_secret_name(name) and not PLACEHOLDER.search(text):
            begin = match.start("values")
            return begin + value.start(1), begin + value.end(1)
    return None


def of_a_connection(match: Match[str]) -> Optional[Tuple[int, int]]:
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
    return match.span("value") if beside and not PLACEHOLDER.search(match.group("value")) else None
