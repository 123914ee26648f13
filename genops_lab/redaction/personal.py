"""Find personal data by its form: e-mail addresses, bank accounts, cards, telephone and social security numbers.

Names of people and places have no form: :mod:`.presidio` finds them where it is installed.
"""

from __future__ import annotations

import re
from typing import Match, Optional, Tuple

from .checksums import is_iban, passes_luhn

EMAIL, IBAN, CARD = "email", "iban", "card"
PHONE, SOCIAL_SECURITY = "phone", "social security number"
KINDS = (EMAIL, IBAN, CARD, PHONE, SOCIAL_SECURITY)

_Place = Optional[Tuple[int, int]]
#: Domains that are no country's and are common: code such as ``x@w.mean`` has other words there.
_TOP = (
    "com|org|net|edu|gov|mil|int|info|biz|name|pro|dev|app|cloud|tech|online|site|store|shop|email|agency|academy|"
    "berlin|london|paris|health|bank|world|life|xyz|local|test|example"
)
_EMAIL = (
    r"(?<![\w.+%-])(?!git@)[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}"
    rf"(?:(?i:{_TOP})|[a-z]{{2}}|[A-Z]{{2}})(?![\w(\[-]|\.\w)"
)
#: Two letters, two check digits, then letters and digits, also in groups of four.
_IBAN = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
#: The length by country (SWIFT's registry of IBANs).
_IBAN_COUNTRIES = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 "
    "EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 "
    "IS26 IT27 JO30 KW30 KZ20 LB28 LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 "
    "NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SE24 SI19 SK24 SM27 TN24 TR26 UA29 "
    "VG24 XK20 "
)
_IBAN_LENGTHS = {word[:2]: int(word[2:]) for word in _IBAN_COUNTRIES.split()}
#: 13 to 19 digits with the first digits of Visa, Mastercard, American Express, Discover, JCB and Diners.
_CARD = (
    r"(?<![\w.+/-])(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|3[47]\d\d|3[068]\d\d|35\d\d|6(?:011|4[4-9]\d|5\d\d))"
    r"(?:[ -]?\d{4,6}){2,3}(?:[ -]?\d{1,4})?(?![\w/-]|\.\d)"
)
#: +49 30 901820, +1 (415) 555-0132.
_INTERNATIONAL = (
    r"(?<![\w.+)-])(?:\+|00(?=[1-9]\d?[ -]))[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}(?![\w.]\d|[\w/])"
)
#: 415-555-0132, (415) 555-0132.
_AMERICAN = r"(?<![\w.+/=-])(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-.])[2-9]\d{2}[-.]\d{4}(?![\w/-]|\.\d)"
_NATIONAL = (
    r"(?i)\b(?:phone|tel|telephone|telefon|mobile?|cell|call|fax|whatsapp|handy)(?: ?(?:no|number|nr))?"
    r"[\"']?[.:= ]{1,3}"
    r"[\"']?(?:(?:me|us|at|on|is) ){0,2}(\(?0\d{1,5}\)?[ /-]?\d{2,5}(?:[ -]?\d{2,5}){0,3})(?!\w|\.\d)"
)
_SOCIAL_SECURITY = r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"


def _iban(match: Match[str]) -> _Place:
    text, begin = match.group(), match.start()
    length = _IBAN_LENGTHS.get(text[:2], 0)
    # Of the groups behind the number, as of a word in capitals, none belongs to it.
    end, seen = 0, 0
    while seen < length and end < len(text):
        seen += text[end] != " "
        end += 1
    whole = end == len(text) or text[end] == " "
    return (begin, begin + end) if whole and seen == length and is_iban(text[:end].replace(" ", "")) else None


def _card(match: Match[str]) -> _Place:
    digits = re.sub(r"[ -]", "", match.group())
    return match.span() if 13 <= len(digits) <= 19 and passes_luhn(digits) else None


def _phone(match: Match[str]) -> _Place:
    digits = sum(character.isdigit() for character in match.group())
    return match.span() if 8 <= digits <= 15 else None


def _national(match: Match[str]) -> _Place:
    digits = sum(character.isdigit() for character in match.group(1))
    return match.span(1) if 7 <= digits <= 14 else None


def _all(match: Match[str]) -> _Place:
    return match.span()


#: Kind, texts of which one must occur, pattern, and what tells the place of the data.
FORMS = (
    (EMAIL, ("@",), _EMAIL, _all),
    (IBAN, (), _IBAN, _iban),
    (CARD, (), _CARD, _card),
    (SOCIAL_SECURITY, ("-",), _SOCIAL_SECURITY, _all),
    (PHONE, ("+", "00"), _INTERNATIONAL, _phone),
    (PHONE, ("-", "."), _AMERICAN, _all),
    (PHONE, (), _NATIONAL, _national),
)
