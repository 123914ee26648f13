"""Find rows that say nearly the same, and rows that a model may have seen in its training data.

Texts are sets of five words that follow each other. Two sets are compared only if they share one of their rarest
members, so the answer is exact and no pair is compared in vain. Source: S. Chaudhuri, V. Ganti and R. Kaushik, "A
primitive operator for similarity joins in data cleaning", ICDE 2006 (prefix filtering).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_WORDS = 5
#: The share of five-word parts that must be the same.
SAME = 0.8
#: Characters of a text that are compared.
_MOST = 20_000
#: Texts that share a rare part and are compared with one text: more are templates.
_MOST_COMPARED = 200
_WORD = re.compile(r"\w+")
Parts = frozenset[int]


def parts_of(text: str) -> Parts:
    """Return the hashes of all five words that follow each other; of a shorter text, that of its words.

    >>> parts_of("What is 2 + 2?") == parts_of("what IS  2 2")
    True
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text[:_MOST]).casefold())
    count = max(1, len(words) - _WORDS + 1)
    return frozenset(hash(tuple(words[at : at + _WORDS])) for at in range(count)) if words else frozenset()


def near_duplicates(texts: Mapping[str, str]) -> list[list[str]]:
    """Return groups of ids whose texts are nearly the same, the largest first.

    >>> near_duplicates({"1": "Who wrote Faust?", "2": "Who wrote Hamlet?", "3": "who wrote faust"})
    [['1', '3']]
    """
    parts = {id: own for id, text in texts.items() if (own := parts_of(text))}
    rare = _rarest(parts)
    index: dict[int, list[str]] = {}
    group: dict[str, str] = {}
    for id, own in parts.items():
        for other in list(dict.fromkeys(each for part in rare[id] for each in index.get(part, ())))[
            :_MOST_COMPARED
        ]:
            shared = len(own & parts[other])
            if shared >= SAME * (len(own) + len(parts[other]) - shared):
                group[id] = group.setdefault(other, other)
                break
        for part in rare[id]:
            index.setdefault(part, []).append(id)
    groups: dict[str, list[str]] = {}
    for id in parts:
        if id in group:
            groups.setdefault(group[id], []).append(id)
    return sorted(groups.values(), key=lambda each: -len(each))


def leaked(texts: Mapping[str, str], training: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the ids of texts that are in a row of training data, with the first such row, from 1.

    A text is in a row if the row has most of its five-word parts, so also within a longer one.

    >>> leaked({"a": "Name the longest river of Peru"}, [{"text": "Q: name the longest river of Peru. A: Ucayali"}])
    {'a': 1}
    """
    parts = {id: own for id, text in texts.items() if (own := parts_of(text))}
    index: dict[int, list[str]] = {}
    for id, rare in _rarest(parts).items():
        for part in rare:
            index.setdefault(part, []).append(id)
    seen: dict[str, int] = {}
    for number, row in enumerate(training, start=1):
        for text in _texts(row):
            there = parts_of(text)
            for id in {id for part in there & index.keys() for id in index[part]}:
                if id not in seen and len(parts[id] & there) >= SAME * len(parts[id]):
                    seen[id] = number
    return seen


def _rarest(parts: Mapping[str, Parts]) -> dict[str, list[int]]:
    """Return so many of each text's rarest parts that a text like it must have one of them."""
    counts = Counter(part for each in parts.values() for part in each)
    return {
        id: sorted(each, key=lambda part: (counts[part], part))[: len(each) - math.ceil(SAME * len(each)) + 1]
        for id, each in parts.items()
    }


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a row, also those of its lists, such as messages."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
