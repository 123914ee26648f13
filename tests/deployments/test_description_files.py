"""The deployment file: what it may say, where an error is, and the schema for editors."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.yaml_files import MAX_NODES
from genops_lab.deployments.description import schema
from genops_lab.deployments.description.document import Description, Resources, Signer
from genops_lab.deployments.description.models import PlanDescription
from genops_lab.deployments.description.naming import located
from genops_lab.deployments.description.reading import MAX_CHARACTERS, DeploymentFileError, read_description
from genops_lab.deployments.description.writing import text_of
from genops_lab.deployments.secrets import Secrets
from tests.support.actionlint import lint

PAGE = Path(__file__).parents[2] / "docs" / "users" / "deployment-files.md"
DIGEST = "sha256:" + "a" * 64


def example() -> str:
    """The file of the page in the docs, with all parts."""
    return next(each for each in PAGE.read_text().split("```yaml\n")[1:] if "callers:" in each).split("```")[
        0
    ]


def test_the_example_of_the_docs_is_a_deployment_file_and_is_written_as_it_is_read() -> None:
    found = read_description(example())
    assert found.name == "digits" and found.callers is not None and found.resources is not None
    assert set(Description.__struct_fields__) == {
        field for field in Description.__struct_fields__ if f"{field}:" in example()
    }, "the example shows every key"
    assert read_description(text_of(found)) == found
    signed = read_description(example().replace(DIGEST, "{signer: release.pub}"))
    assert signed.trust == Signer(signer="release.pub") or DIGEST not in example()


def test_the_panel_names_a_file_as_a_terminal_does(tmp_path: Path) -> None:
    (tmp_path / "clone" / ".git").mkdir(parents=True)
    inside, plain = tmp_path / "clone" / "prod" / "a.yaml", tmp_path / "b.yaml"
    inside.parent.mkdir()
    for each in (inside, plain):
        each.touch()

    def named(path: str) -> tuple[str, str]:
        found = located(PlanDescription(text="", path=path), tmp_path)
        return found.file, found.folder

    assert named("clone/prod/a.yaml") == ("prod/a.yaml", str(inside.parent))
    assert named("b.yaml") == (str(plain), str(tmp_path))
    for elsewhere in ("../b.yaml", "drive:b.yaml", str(plain)):
        assert named(elsewhere) == (elsewhere, "")


def test_the_schema_is_that_of_the_structs_and_accepts_the_example() -> None:
    import jsonschema
    import yaml

    assert schema.FILE.read_text() == schema.schema(), "python -m genops_lab.deployments.description.schema"
    validator = jsonschema.Draft202012Validator(json.loads(schema.schema()))
    content = {
        "on" if key is True else key: value for key, value in yaml.safe_load(example()).items()
    }  # YAML 1.1
    validator.validate(content)
    for key, wrong in {
        "name": "a b",
        "kind": "Gates",
        "trust": "sha256:1",
        "revisions": [],
        "more": 1,
    }.items():
        assert not validator.is_valid({**content, key: wrong}), key


BASE = f"""\
apiVersion: genops/v1
kind: Deployment
name: digits
revisions:
  - model: digits
    version: 3
scale: {{min: 1, max: 1}}
resources:
  memory: 2 GiB
environment:
  OMP_NUM_THREADS: 2
secrets: [HF_TOKEN]
callers:
  - name: ci
    limit: 600
lifetime:
  lease_hours: 24
trust: {DIGEST}
"""


@pytest.mark.parametrize(
    ("change", "line", "column", "message", "hint"),
    [
        (("name: digits", "nam: digits"), 3, 1, "the key 'nam' is unknown.", "Did you mean name?"),
        (("name: digits\n", ""), 1, 1, "the key 'name' is missing.", ""),
        (("name: digits", "name: größe"), 3, 7, "'name' must have up to 63 letters", ""),
        (("name: digits", f"name: {'x' * 250}"), 3, 7, "'name' must have up to 63 letters", ""),
        (("genops/v1", "genops/v2"), 1, 13, "the apiVersion 'genops/v2' is unknown.", "Did you mean genops/v1?"),
        (("kind: Deployment", "kind: Deploymnt"), 2, 7, "the kind 'Deploymnt' is unknown.", "Did you mean Deployment?"),
        (("model: digits", "modle: digits"), 5, 5, "the key 'modle' is unknown.", "Did you mean model?"),
        (("    version: 3\n", ""), 5, 5, "the key 'version' is missing: a number or an alias", ""),
        (("version: 3", "path: m.gguf"), 5, 5, "this revision must have one of the keys 'model', 'path' and", ""),
        (("model: digits", "model: hf:a/b"), 5, 5, "the key 'version' is one of registered models: write hf:", ""),
        (("version: 3", "version: 3\n    port: 80"), 5, 5, "the keys 'port' and 'health' need the key 'command'.", ""),
        (("version: 3", "version: 3\n    settings: {a b: 1}"), 7, 15, "'settings' must have names of settings", ""),
        (("version: 3", "version: 2.5"), 6, 14, "'version' must be a whole number or a text, not a number.", ""),
        (("version: 3", "version: 3\n    traffic: 50"), 5, 5, "this key 'traffic' must be 100", ""),
        (("version: 3", "version: 3\n  - model: b\n    version: 1"), 5, 3, "'revisions' must have one revision", ""),
        (("model: digits", f"model: {'ü' * 257}"), 5, 12, "'model' must be of length at most 256.", ""),
        (("min: 1", "min: 0"), 7, 14, "'min' must be at least 1.", ""),
        (("2 GiB", "2 gigs"), 9, 11, "'memory' must be a size with its unit, such as 500 MiB or 2 GiB.", ""),
        (("memory", "gpu"), 9, 3, "the key 'gpu' is unknown.", "Did you mean gpus?"),
        (("OMP_", "OMP-"), 11, 3, "'environment' must have names of variables", ""),
        (("THREADS: 2", "THREADS: yes"), 11, 20, "'OMP_NUM_THREADS' must be a whole number or a text, not true", ""),
        (("THREADS: 2", 'THREADS: "a\\0"'), 11, 20, "'environment' must have names of variables", ""),
        (("OMP_NUM_THREADS", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"), 1, 1, "the variable 'MLFLOW_ALLOW", ""),
        (("OMP_NUM_THREADS", "HF_TOKEN"), 1, 1, "the name 'HF_TOKEN' comes twice in 'secrets' and", ""),
        (("limit", "limt"), 15, 5, "the key 'limt' is unknown.", "Did you mean limit?"),
        (("limit: 600", "limit: -1"), 15, 12, "'limit' must be at least 0.", ""),
        (("name: ci", "name: default"), 1, 1, "the key 'default' is the deployment's own", ""),
        (("limit: 600", "limit: 600\n  - name: ci"), 1, 1, "the name 'ci' comes twice in 'callers'.", ""),
        (("lease_hours: 24", "lease_hours: 0"), 17, 16, "'lease_hours' must be more than 0.0.", ""),
        ((DIGEST, "sha256:12"), 18, 8, "'trust' must be sha256: and 64 digits (0-9, a-f), or have the key", ""),
        ((DIGEST, "{sign: release.pub}"), 18, 9, "the key 'sign' is unknown.", "Did you mean signer?"),
        (("name: digits", "name: d\nrollout: {kind: canry}"), 4, 17, "the kind 'canry' is", "Did you mean canary?"),
        (("name: digits", "name: digits\nrollout: {lasts: soon}"), 1, 1, "the key 'rollout': 'soon' is no time.", ""),
        (("name: digits", "name: d\nrollout: {step: []}"), 4, 11, "the key 'step' is", "Did you mean steps?"),
        (("name: digits", "name: &a x\non: *a"), 4, 5, "aliases and merge keys are not", "Write the part again."),
        (("name: digits", "name: !!python/name:os.system x"), 3, 7, "the tag", "Remove it."),
        (("name: digits", "name: digits\nname: other"), 4, 1, "the key 'name' comes twice.", "Keep one of them."),
    ],
)  # fmt: skip
def test_an_error_names_its_place_and_what_was_meant(
    change: tuple[str, str], line: int, column: int, message: str, hint: str
) -> None:
    assert change[0] in BASE
    with pytest.raises(DeploymentFileError) as caught:
        read_description(BASE.replace(*change, 1), "prod/digits.yaml")
    assert caught.value.message.startswith(f"prod/digits.yaml, line {line}, column {column}: {message}")
    assert caught.value.hint == (hint or "An example: genops deployments init MODEL")
    assert caught.value.details == {"line": line, "column": column}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "kind: Deployment",
        "x" * (MAX_CHARACTERS + 1),
        "[" * 100,
        "a: [" + "1," * MAX_NODES + "]",
        "\x00",
    ],
)
def test_what_is_no_deployment_file_is_refused(text: str) -> None:
    with pytest.raises(DeploymentFileError):
        read_description(text)


@pytest.mark.parametrize("memory", ["1.5 GB", "2 GiB", "500MB", "0.125 TiB", "333.333 MiB"])
def test_a_size_is_written_as_what_it_is(memory: str) -> None:
    found = Resources(memory=memory)
    assert Resources.of(found.memory_bytes).memory_bytes == found.memory_bytes


def test_the_job_of_the_docs_passes_actionlint() -> None:
    job = PAGE.read_text().split("```yaml\n# .github/workflows/deploy.yml\n")[1].split("```")[0]
    assert lint(job) == []
    assert lint(job.replace("runs-on: self-hosted", "runs_on: x")), "actionlint finds nothing"


def test_a_secret_is_a_private_file_and_its_name_stays_in_the_folder(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    assert secrets.names() == []
    secrets.set("HF_TOKEN", "one")
    secrets.set("HF_TOKEN", "two")
    path = tmp_path / "secrets" / "HF_TOKEN"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert (secrets.names(), secrets.values(["HF_TOKEN"])) == (["HF_TOKEN"], {"HF_TOKEN": "two"})
    for name in ("../x", "a/b", "", ".hidden", "ü"):
        with pytest.raises(InvalidRequest, match="is not a name of a secret"):
            secrets.set(name, "x")
    for value in ("", "a\0b", "x" * 65_000):
        with pytest.raises(InvalidRequest, match="empty, has a zero byte or is over 64,000 bytes"):
            secrets.set("HF_TOKEN", value)
    secrets.delete("HF_TOKEN")
    secrets.delete("HF_TOKEN")
    with pytest.raises(NotFound) as caught:
        secrets.values(["HF_TOKEN"])
    assert caught.value.hint == "Set it: genops secrets set HF_TOKEN"
