"""The gate file: what it may say, and where an error is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from genops_lab.gates import schema
from genops_lab.gates.plan import Better, Bound, Gates
from genops_lab.gates.plan_file import MAX_BYTES, GateFileError, blob_hash, read_gates
from genops_lab.gates.templates import CI_FILES, example
from tests.support.actionlint import lint

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = example("gates.yaml")
#: The example with every rule in force.
WHOLE = re.sub(r"(?m)^  # (- |  [a-z])", r"  \1", EXAMPLE)


def test_the_example_is_a_gate_file_also_with_all_its_rules() -> None:
    plan = read_gates(EXAMPLE)
    assert plan.rules[:2] == [Bound(metric="accuracy", at_least=0.9), Better(metric="accuracy", margin=0)]
    assert len(read_gates(WHOLE).rules) == 12


def test_the_schema_is_that_of_the_structs_and_accepts_the_example() -> None:
    import jsonschema
    import yaml

    assert schema.FILE.read_text() == schema.schema(), "python -m genops_lab.gates.schema"
    validator = jsonschema.Draft202012Validator(json.loads(schema.schema()))
    validator.validate(yaml.safe_load(WHOLE))
    assert not validator.is_valid({"kind": "Gates", "rules": [{"rule": "beter"}]})


@pytest.mark.parametrize(
    ("change", "line", "column", "message", "hint"),
    [
        (("at_least", "at_lest"), 15, 5, "the key 'at_lest' is unknown.", "Did you mean at_least or at_most?"),
        (("rule: better", "rule: beter"), 18, 11, "the rule 'beter' is unknown.", "Did you mean better?"),
        (
            ("accuracy\n    margin", "acuracy\n    margin"), 19, 13, "the metric 'acuracy' is unknown.",
            "Did you mean accuracy or auc?",
        ),
        (("0.9\n", ".nan\n"), 13, 5, "the key 'at_least' must be a finite number, not nan.", ""),
        (("0.9\n", "high\n"), 15, 15, "'at_least' must be a number, not a text.", ""),
        (("    at_least: 0.9\n", ""), 13, 5, "this rule needs either 'at_least' or 'at_most'.", ""),
        (("margin: 0", "margin: -1"), 20, 13, "'margin' must be at least 0.0.", ""),
        (("data: holdout", "dat: holdout"), 7, 1, "the key 'dat' is unknown.", "Did you mean data?"),
        (("data: holdout\n", ""), 4, 1, "rule 1 needs evaluation data: add the key 'data'.", ""),
        (("kind: Gates", "kind: Gate"), 4, 7, "the kind 'Gate' is unknown.", "Did you mean Gates?"),
        (("kind: Gates", "kind: Gates\nkind: Gates"), 5, 1, "the key 'kind' comes twice.", "Keep one of them."),
        (("data: holdout", "data: &a [*a]"), 7, 11, "aliases and merge keys are not allowed.", "Write the part again."),
        (("data: holdout", "data: !!python/name:os.system x"), 7, 7, "the tag", "Remove it."),
        (("data: holdout", "data: [holdout"), 9, 1, "this is not YAML", ""),
        (("  - rule: signature", "  - 5"), 45, 5, "'rules[2]' must be keys with values, not a whole number.", ""),
    ],
)  # fmt: skip
def test_an_error_names_its_place_and_what_was_meant(
    change: tuple[str, str], line: int, column: int, message: str, hint: str
) -> None:
    assert change[0] in EXAMPLE
    with pytest.raises(GateFileError) as caught:
        read_gates(EXAMPLE.replace(*change, 1), "team/gates.yaml")
    assert caught.value.message.startswith(f"team/gates.yaml, line {line}, column {column}: {message}")
    assert caught.value.hint == (hint or "An example: genops gates init --print")
    assert caught.value.details == {"line": line, "column": column}


@pytest.mark.parametrize(
    "text", ["", "- 1", "kind: Gates", "x" * (MAX_BYTES + 1), "[" * 100, "\x00", "a: \ud800"]
)
def test_what_is_no_gate_file_is_refused(text: str) -> None:
    with pytest.raises(GateFileError):
        read_gates(text)


def test_the_hash_is_gits(tmp_path: Path) -> None:
    file = tmp_path / "gates.yaml"
    file.write_text(EXAMPLE)
    done = subprocess.run(
        ["git", "hash-object", str(file)], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert blob_hash(EXAMPLE.encode()) == done == blob_hash(EXAMPLE.replace("\n", "\r\n").encode())


def test_dates_and_numbers_are_names_of_data() -> None:
    assert read_gates(EXAMPLE.replace("data: holdout", "data: 2026-11-30")).data == "2026-11-30"
    assert isinstance(read_gates(EXAMPLE.replace("against: champion", "against: '3'")), Gates)


def test_the_jobs_for_github_pass_actionlint() -> None:
    text = example(CI_FILES["github"][0])
    assert lint(text) == []
    assert lint(text.replace("needs: check", "needs: chek")), "actionlint finds nothing"


@pytest.mark.parametrize(
    ("ci", "name"), [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")]
)
def test_the_jobs_follow_the_published_schemas(ci: str, name: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    if not program.exists():
        pytest.skip("needs check-jsonschema, which has the schemas as files")

    def check(text: str) -> int:
        file = tmp_path / "jobs.yml"
        file.write_text(text)
        return subprocess.run(
            [str(program), "--builtin-schema", name, str(file)], capture_output=True, timeout=60
        ).returncode

    text = example(CI_FILES[ci][0])
    assert check(text) == 0
    assert check(text.replace("environment: production", "environment: [1]")) == 1
