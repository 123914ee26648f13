"""Each pattern against texts that are made to slow it down: twice the text takes twice the time, not four times."""

from __future__ import annotations

import gc
import time

import pytest

from genops_lab.redaction.documents import DocumentRedactor

SIZE = 100_000
#: Parts of what the patterns look for; a text repeats one, so that a pattern begins at each and never ends.
PARTS = [
    *(
        "password",
        "token",
        "api_key=",
        "secret_key",
        "pass",
        "pw: ",
        "--token=",
        "--api-key ",
        "my-pass-",
        "PASS",
    ),
    *(
        "eyJ",
        "-eyJaaaaaaaaaa",
        "eyJaaaaaaaaaa.",
        "sk-",
        "sk-a-",
        "bearer ",
        "basic a",
        "gl",
        "glpat-a",
        "xoxb-",
        "SG.a",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "-----BEGIN A PRIVATE KEY-----\\n",
        "PRIVATE KEY ",
        "AAAA\\n",
    ),
    *(
        "machine ",
        "machine a login b ",
        "machine\\n",
        "default login ",
        "login ",
        "wandb",
        "wandb_",
        "wandb login ",
    ),
    *(
        "curl ",
        "curl -u ",
        "mysql ",
        "mysql -p",
        "docker login ",
        "docker ",
        "sshpass -p ",
        'username": "a", ',
    ),
    *(
        "a://",
        "a://b:",
        "a:b@",
        "?token=",
        "&key=a",
        "AccountKey=",
        "secret_access_key",
        "keykey",
        "_key",
        "loginkey",
    ),
    *(
        "a, b = 'c', ",
        "a,",
        "'a',",
        "host=a password=b ",
        "password=b;",
        "getenv('a', ",
        "environ.get(",
        "\"'",
        "'",
    ),
    *(
        "a@",
        "a.b@c.",
        "a@b.c@",
        "a.",
        "1 ",
        "4111 ",
        "4111-",
        "4",
        "DE89",
        "DE89 ",
        "+1 ",
        "+1-2-",
        "00",
        "(415) ",
    ),
    *(
        "415-",
        "phone ",
        "tel: 0",
        "123-45-",
        "0 1 ",
        "a1B2",
        "a1/",
        "/",
        "+",
        "=",
        "-",
        "0aA",
        "\n",
        " ",
        "\t",
        "\\n",
    ),
    *(
        "[email 1]",
        "[redacted: ",
        "[email ",
        "data:image/png;base64,",
        "data:image/",
        "AKIA",
        "ghp_",
        "npm_",
        "{",
        "[",
    ),
    *(
        "password is ",
        "token for a b c d ",
        "the password for x is ",
        "password: str = ",
        "password: [a, b] = ",
    ),
]


def cost_s(redactor: DocumentRedactor, text: str) -> float:
    gc.disable()  # a collection of what other tests left took 0.7 s
    try:
        start = time.thread_time()
        redactor.redact(text)
        return time.thread_time() - start
    finally:
        gc.enable()


def test_texts_made_of_parts_of_patterns_are_linear() -> None:
    redactor = DocumentRedactor(people=True)
    slow = []
    for part in PARTS:
        whole = cost_s(redactor, (part * SIZE)[:SIZE] + "\n!")
        # A plain text of this size takes some 0.05 s.
        if whole > 0.3:
            quarter = cost_s(redactor, (part * SIZE)[: SIZE // 4] + "\n!")
            if whole > 8 * quarter:
                slow.append((part, round(quarter, 3), round(whole, 3)))
    assert slow == []


@pytest.mark.parametrize(
    "part", ["token: a1b2c3d4 ", "ada@example.com ", '{"password": "hunter22"} ', "a1B2c3D4e5F6g7H8i9J0k "]
)
def test_a_text_full_of_finds_is_linear(part: str) -> None:
    redactor = DocumentRedactor(people=True)
    quarter = cost_s(redactor, (part * SIZE)[: SIZE // 4])
    assert cost_s(redactor, (part * SIZE)[:SIZE]) < max(9 * quarter, 0.3)
