"""Documents: one placeholder a value, everywhere; everything else as it was."""
# ruff: noqa: E501

from __future__ import annotations

import json
from typing import Any

import pytest

from genops_lab.redaction.checksums import base62_crc32, is_iban, passes_luhn
from genops_lab.redaction.documents import DocumentRedactor, Placeholders

from .corpus import Maker

MAIL, PASSWORD = "ada@example.com", "open-sesame-7"


def redacted(document: Any, **settings: Any) -> Any:
    return DocumentRedactor(people=True, **settings).redact(document).document


def test_a_value_has_one_placeholder_wherever_it_comes_again() -> None:
    document = {
        "messages": [
            {"role": "user", "content": f"I am {MAIL}; log in with {PASSWORD}."},
            {
                "role": "assistant",
                "tool_calls": [{"arguments": json.dumps({"password": PASSWORD, "n": 1.5})}],
            },
            {"role": "tool", "content": [{"type": "text", "text": f"{MAIL} is in, {PASSWORD} was right"}]},
        ],
        MAIL: (1, b"to ada@example.com", None, True),
    }
    kept = json.dumps(document, default=repr)
    found = DocumentRedactor(people=True).redact(document)
    assert found.document == {
        "messages": [
            {"role": "user", "content": "I am [email 1]; log in with [secret value 1]."},
            {
                "role": "assistant",
                "tool_calls": [{"arguments": '{"password": "[secret value 1]", "n": 1.5}'}],
            },
            {
                "role": "tool",
                "content": [{"type": "text", "text": "[email 1] is in, [secret value 1] was right"}],
            },
        ],
        "[email 1]": (1, b"to [email 1]", None, True),
    }
    assert found.counts == {"email": 4, "secret value": 3} and found.searched_by == ("rules",)
    assert json.dumps(document, default=repr) == kept
    assert redacted(found.document) == found.document


def test_parts_of_a_trace_share_placeholders_and_new_numbers_are_new() -> None:
    redactor, placeholders = DocumentRedactor(people=True), Placeholders()
    assert redactor.redact(f"from {MAIL}", placeholders).document == "from [email 1]"
    assert redactor.redact(f"bob@example.com, {MAIL}", placeholders).document == "[email 2], [email 1]"
    assert redacted("[email 4] wrote to bob@example.com") == "[email 4] wrote to [email 5]"


@pytest.mark.parametrize(
    "document",
    [
        {"usage": {"prompt_tokens": 1234567, "total_tokens": 2345678}, "max_tokens": 100000},
        {"logprobs": [{"token": "Hello1234567", "logprob": -0.1, "bytes": [72]}]},
        {"token": "Hello", "tokens": ["Hel", "lo1"], "stop_token": "<|im_end|>", "token_type": "bearer"},
        {"password": None, "api_key": "", "secret": "YOUR_SECRET", "credentials": {"type": "none"}},
        {"properties": {"password": {"type": "string"}}},
        '{"a":1, "b" : [1e5]}',
        [1, 2.5, float("inf"), {"a": ("x",)}],
        "a text [email 1] with [github token 2]",
    ],
)  # fmt: skip
def test_what_has_no_secret_is_the_same_object(document: Any) -> None:
    assert redacted(document) is document


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"env": [{"name": "DB_PASSWORD", "value": "hunter"}]}, {"env": [{"name": "DB_PASSWORD", "value": "[secret value 1]"}]}),
        ({"headers": {"Authorization": "Basic YTpi", "X-Api-Key": "k-1"}}, {"headers": {"Authorization": "[secret value 1]", "X-Api-Key": "[secret value 2]"}}),
        ({"pin_password": 12345678}, {"pin_password": "[secret value 1]"}),
        ({"api_keys": ["first-1", "second-2"]}, {"api_keys": ["[secret value 1]", "[secret value 2]"]}),
        ({"passphrase": "correct horse battery staple"}, {"passphrase": "[secret value 1]"}),
        ('{"a": "{\\"password\\": \\"pw\\"}"}', '{"a": "{\\"password\\": \\"[secret value 1]\\"}"}'),
    ],
)  # fmt: skip
def test_names_tell_secrets_whatever_their_form(document: Any, expected: Any) -> None:
    assert redacted(document) == expected


def test_a_document_that_is_too_deep_keeps_nothing_of_what_was_not_searched() -> None:
    deep: Any = MAIL
    for _ in range(60):
        deep = [deep]
    assert MAIL not in json.dumps(redacted(deep))
    assert MAIL not in redacted("[" * 100_000 + f'"{MAIL}"')
    assert redacted("{" * 2000 + MAIL) == "{" * 2000 + "[email 1]"


def test_a_table_is_redacted_by_column_and_the_given_one_stays() -> None:
    import pandas

    frame = pandas.DataFrame(
        {
            "question": [f"who is {MAIL}?", "why"],
            "api_key": ["abc-1", "abc-2"],
            "n": [1, 2],
            7: [None, {"to": MAIL}],
        },
        index=["a", MAIL],
    )
    before = frame.copy(deep=True)
    found = redacted(frame)
    assert found["question"].tolist() == ["who is [email 1]?", "why"]
    assert found["api_key"].tolist() == ["[secret value 1]", "[secret value 2]"]
    assert found["n"].tolist() == [1, 2] and found[7].tolist() == [None, {"to": "[email 1]"}]
    assert list(found.index) == ["a", "[email 1]"]
    pandas.testing.assert_frame_equal(frame, before)


def test_places_are_said_without_values() -> None:
    found = DocumentRedactor(people=True).find(f"x\n  to {MAIL} and\n{MAIL} again")
    assert [(each.line, each.column, each.length, each.kind, each.placeholder) for each in found] == [
        (2, 6, len(MAIL), "email", "[email 1]"),
        (3, 1, len(MAIL), "email", "[email 1]"),
    ]
    assert MAIL not in repr(found)


def test_checksums() -> None:
    # The pair of GitHub's own announcement, and numbers that banks publish as examples.
    assert base62_crc32("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ") == "0mLq17"
    assert is_iban("DE89370400440532013000") and not is_iban("DE88370400440532013000")
    assert passes_luhn("4111111111111111") and not passes_luhn("4111111111111112")
    token = Maker(1).checked("ghp_")
    assert DocumentRedactor().redact(f"key{token}").document == "key[github token 1]"
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert "[github token" not in DocumentRedactor().redact(f"key{wrong}").document
    assert (
        redacted("DE88370400440532013000, 4111 1111 1111 1112")
        == "DE88370400440532013000, 4111 1111 1111 1112"
    )
