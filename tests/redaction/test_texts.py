"""Secrets go, everything else stays."""

from __future__ import annotations

import random
import re
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.redaction.secret_names import current_values, is_secret_name
from genops_lab.redaction.texts import ASSIGNED, MARK, RANDOM, VARIABLE, Redactor, mark, marks_in
from genops_lab.runtime.source import simple_params
from tests.support.exhaustive import ALL, examples
from tests.support.planted import Planted, planted_secrets

ROOT = Path(__file__).parents[2]
PLANTED = planted_secrets()


def test_there_are_fifty() -> None:
    assert len({planted.secret for planted in PLANTED}) >= 50


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.kind)
def test_a_secret_goes_wherever_it_stands(planted: Planted) -> None:
    redactor = Redactor()
    for text in (
        planted.line,
        f"x = 1\n    {planted.line}  # why\ny = 2",
        planted.line + "\n" + planted.line,
    ):
        redacted = redactor.redact(text)
        assert planted.secret not in redacted
        assert marks_in(redacted)
        assert redacted.count("\n") == text.count("\n")
        assert redactor.redact(redacted) == redacted


@pytest.mark.parametrize("seed", range(5))
def test_other_secrets_of_the_same_forms_go_too(seed: int) -> None:
    text = "\n".join(planted.line for planted in planted_secrets(seed))
    redacted = Redactor().redact(text)
    left = [planted.kind for planted in planted_secrets(seed) if planted.secret in redacted]
    assert left == []


PIECES = st.sampled_from(
    [planted.line for planted in PLANTED]
    + [
        "x = 1",
        "\n",
        " ",
        '"',
        "'",
        "=",
        "password",
        "token=",
        mark(RANDOM),
        mark("github token"),
        "redacted",
        "[",
    ]
)


@settings(deadline=None, max_examples=examples(300))
@given(
    st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=12),
    st.lists(st.text(min_size=6, max_size=20), max_size=3),
)
def test_twice_is_as_once_and_lines_stay(pieces: list[str], values: list[str]) -> None:
    text = "".join(pieces)
    redactor = Redactor(sorted(values, key=len, reverse=True))
    once = redactor.redact(text)
    assert redactor.redact(once) == once
    assert once.count("\n") == text.count("\n")


CODE = [
    "x = 1",
    "",
    "def f(a, b='c'):",
    "    return a + b  # why",
    "'''",
    '"""',
    "%matplotlib inline",
    "t = next(it)",
]


@settings(deadline=None, max_examples=examples(100))
@given(st.lists(st.one_of(st.sampled_from(PLANTED), st.sampled_from(CODE)), max_size=20))
def test_secrets_go_among_any_lines(pieces: list[Planted | str]) -> None:
    text = "\n".join(piece if isinstance(piece, str) else piece.line for piece in pieces)
    redacted = Redactor().redact(text)
    left = [piece.kind for piece in pieces if isinstance(piece, Planted) and piece.secret in redacted]
    assert left == []


@settings(deadline=None, max_examples=examples(200))
@given(st.text(alphabet=string.ascii_lowercase + " \n()=+-*/:,.[]{}_\"'#", max_size=300))
def test_a_text_without_marks_is_the_same_text(text: str) -> None:
    redacted = Redactor().redact(text)
    assert marks_in(redacted) or redacted == text


def test_the_projects_own_files_have_next_to_no_redactions() -> None:
    # All of it, 7 MB, takes 4 s: daily what has the most hashes, keys and settings in it.
    daily = [
        "genops_lab/runtime",
        "genops_lab/core",
        "docs",
        "examples",
        "scripts",
        "package.json",
        "yarn.lock",
    ]
    listed = subprocess.run(
        ["git", "ls-files", *(["genops_lab", "src"] if ALL else []), *daily],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    files = [ROOT / name for name in listed.stdout.split()] or list((ROOT / "genops_lab").rglob("*.py"))
    redactor = Redactor()
    found: dict[str, int] = {}
    size = 0
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        size += len(text)
        new = sum(marks_in(redactor.redact(text)).values()) - sum(marks_in(text).values())
        if new:
            found[file.name] = new
    assert size > 1_000_000
    assert sum(found.values()) <= 3, found


@pytest.mark.parametrize(
    "text",
    [
        "commit 1b6db3dbba672b4f8af935bd43a1ff6cff4d20b7",
        'hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
        "    --hash=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 \\",
        '"integrity": "sha512-Ld9tyIlAK6Vb0P0RcCL3cOKEJ8eXGqFBXSWKX6ksqoqPJz1ZwZd0aGtW1Kq9hP3cXw7rXn0g=="',
        "GPU-76098dc1-d3bc-9a1b-7ea6-f7b48837829e",
        "self._call('nvmlDeviceGetHandleByIndex_v2', index)",
        'model = "meta-llama/Llama-3.1-8B-Instruct"',
        'tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")',
        'pad_token = "<|endoftext|>"',
        "max_tokens = 4096",
        'token_pattern = r"(?u)\\b\\w\\w+\\b"',
        'password = os.environ["DB_PASSWORD"]',
        "password = getpass.getpass('The password of the database: ')",
        'api_key = "your-api-key"',
        'url = f"postgresql://{user}:{password}@{host}/db"',
        'if "-----BEGIN PRIVATE KEY-----" in text:\n    print("a key")',
        '<div class="sk-top-container sk-estimator-doc-link-fitted">',
        'run = mlflow.get_run("0123456789abcdef0123456789abcdef")',
        "https://papers.nips.cc/paper/2003/file/ac1ad983e08ad3304a97e147f522747e-Paper.pdf",
        'cache_key = "0123456789abcdef0123456789abcdef"',
        "--- PASS: TestLoader2 (0.01s)",
        'pass_rate = "95 percent"',
        'forward_pass = "checkpointed1"',
        'parser.add_argument("--password", nargs=1, help="the password of 2024")',
        "!curl -u $USER:$PASSWORD https://api.test",
        'command = f"mysql -u {user} -p{password}"',
        "!mysql -h db -p --port 3306",
        'dsn = f"host={host} user={user} password={password}"',
        "connect(host=host, user=user, password=password_of_user1)",
        "# machine learning: log in with a password of your own",
        "use --password to give the password",
        'pw = os.environ.get("PW", "")',
        'folder = os.environ.get("DATA_FOLDER", "results1")',
        'x, y = "left1234", "right1234"',
        "cd $PWD && PWD=/home/ada/project1 make",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().redact(text) == text


def test_random_strings_are_found_most_of_the_time() -> None:
    rng = random.Random(3)
    letters = string.ascii_letters + string.digits
    found = sum(
        RANDOM in marks_in(Redactor().redact("".join(rng.choice(letters) for _ in range(40))))
        for _ in range(500)
    )
    assert found > 480


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("HF_TOKEN", True), ("db_password", True), ("OPENAI_API_KEY", True), ("aws_secret", True),
        ("DB_PASS", True), ("pwd", True), ("dbPwd", True), ("my_pw", True), ("pass", True), ("bypass", False),
        ("compass", False), ("num_pass", False), ("forward_pass", False), ("pass_rate", False), ("power", False),
        ("GOOGLE_CREDENTIALS", True), ("privateKey", True), ("passphrase", True), ("SECRET_SAUCE", True),
        ("tokenizer", False), ("max_tokens", False), ("eos_token", False), ("token_ids", False), ("monkey", False),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", False), ("lr", False), ("TOKENIZERS_PARALLELISM", False),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_values_of_secret_names_go_in_every_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", 'p"w\\d & more')
    values = current_values(
        {"api_key": "swordfish", "MY_SECRET": b"bytes-too", "token": "word", "plain": "nothing"}
    )
    redactor = Redactor(values)
    text = 'a swordfish, \'p"w\\d & more\', "p\\"w\\\\d & more", p%22w%5Cd%20%26%20more, bytes-too, word, nothing'
    redacted = redactor.redact(text)
    assert marks_in(redacted) == {VARIABLE: 5}
    assert redacted.endswith("word, nothing") and redacted.startswith("a " + mark(VARIABLE))
    # What a variable held earlier is still a secret.
    assert "swordfish" in current_values({"api_key": "another"})
    assert Redactor(["swordfish"]).redact("swordfishes and swordfish") == f"swordfishes and {mark(VARIABLE)}"


def test_hexadecimal_keys_are_known_by_their_variable(tmp_path: Path) -> None:
    key, commit = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"
    values = current_values({"wandb_key": key, "commit": commit, "pwd": str(tmp_path), "cache_key": commit})
    assert key in values and commit not in values and str(tmp_path) not in values
    assert simple_params(f"login_key = {key!r}\ncommit = {commit!r}\nuser, pwd = 'me', 'mellon12'", {}) == {
        "commit": commit, "user": "me",
    }  # fmt: skip


def test_a_mark_can_be_read_back() -> None:
    redacted = Redactor().redact('password = "hunter2hunter2"')
    assert redacted == f'password = "[redacted: {ASSIGNED}]"'
    (found,) = MARK.finditer(redacted)
    assert found.group(1) == ASSIGNED
    assert MARK.search("[redacted: by me]") is None
    assert re.fullmatch(r"\[redacted: [a-z0-9A-Z -]+\]", found.group())


def test_a_secret_never_becomes_a_parameter() -> None:
    code = "lr = 0.1\napi_key = 'swordfish'\nDB_PASSWORD = 'x' * 9\nmax_tokens = 10\n"
    assert simple_params(code, {}) == {"lr": 0.1, "max_tokens": 10}


def test_what_a_cell_will_assign_to_a_secrets_name_is_known_before_it_runs() -> None:
    code = "_password = word\nurl = f'https://x.test/{_password}'\napi_token = 'a'\napi_token = 'another phrase'\n"
    assert simple_params(code, {"word": "some phrase"}) == {"url": "https://x.test/some phrase"}
    values = current_values({})
    assert "some phrase" in values and "another phrase" in values
