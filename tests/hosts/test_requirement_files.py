"""What a project says of its environment: found, read, and refused where it cannot travel."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.hosts.requirement_files import find, read


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def names(folder: Path, top: Path | None = None) -> list[str]:
    return [each.file for each in find(folder, top)]


def test_the_nearest_folder_that_has_some_counts_and_the_best_comes_first(tmp_path: Path) -> None:
    write(tmp_path, **{"uv.lock": "version = 1", "pyproject.toml": "", "requirements.txt": "numpy"})
    inner = write(tmp_path / "notebooks" / "deep")
    found = find(inner, tmp_path)
    assert [(each.file, each.kind, each.preferred) for each in found] == [
        ("uv.lock", "uv", True), ("requirements.txt", "requirements", False),
    ]  # fmt: skip
    assert found[0].path == str(tmp_path / "uv.lock")
    write(inner, **{"requirements-gpu.txt": "torch", "notes.txt": "", "pylock.gpu.toml": ""})
    assert names(inner, tmp_path) == ["pylock.gpu.toml", "requirements-gpu.txt"]
    assert names(tmp_path / "notebooks", tmp_path / "notebooks") == [], "nothing above the Lab's folder"


def test_one_that_cannot_be_used_is_shown_with_the_reason_and_not_preferred(tmp_path: Path) -> None:
    write(tmp_path, **{"uv.lock": "version = 1", "environment.yml": "name: x", "requirements.txt": "numpy"})
    found = {each.file: each for each in find(tmp_path, tmp_path)}
    assert "pyproject.toml" in found["uv.lock"].problem and not found["uv.lock"].preferred
    assert "conda" in found["environment.yml"].problem
    assert found["requirements.txt"].preferred


def test_what_is_included_travels_along(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{"requirements.txt": "-r more/a.txt\n--constraint=pins.txt\nnumpy # x\n", "pins.txt": "numpy<3"},
    )
    write(tmp_path / "more", **{"a.txt": "-r ../requirements.txt\nscipy\n"})
    source = read(tmp_path / "requirements.txt")
    assert (source.kind, source.main) == ("requirements", "requirements.txt")
    assert set(source.files) == {"requirements.txt", "more/a.txt", "pins.txt"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-e .", "only on this machine"),
        ("./lib", "only on this machine"),
        ("mine @ file:///home/ada/mine", "only on this machine"),
        ("-r ../outside.txt", "outside of the project"),
        ("-r missing.txt", "missing.txt"),
        ("--index-url https://ada:secret@index.example.org/simple", "password or token"),
        ("x @ https://ghp_token@github.com/a/b", "password or token"),
    ],
)
def test_what_cannot_travel_is_refused_with_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, **{"outside.txt": "numpy"})
    project = write(tmp_path / "project", **{"requirements.txt": f"numpy\n{text}\n"})
    with pytest.raises(GenOpsError, match=said) as refused:
        read(project / "requirements.txt")
    assert refused.value.hint and "secret" not in refused.value.message


def test_addresses_without_passwords_travel(tmp_path: Path) -> None:
    text = (
        "--index-url https://${USER}:${TOKEN}@index.example.org/simple\n--extra-index-url https://b.example.org\n"
        "c @ git+ssh://git@github.com/a/c\n"
    )
    write(tmp_path, **{"requirements.txt": text})
    assert read(tmp_path / "requirements.txt").files == {"requirements.txt": text}


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    secret = write(tmp_path, **{"secret.txt": "password"}) / "secret.txt"
    project = write(tmp_path / "project", **{"requirements.txt": "-r linked.txt\n"})
    (project / "linked.txt").symlink_to(secret)
    with pytest.raises(InvalidRequest, match="outside"):
        read(project / "requirements.txt")


def test_other_files_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, **{"id_rsa": "key", "train.py": ""})
    for name in ("id_rsa", "train.py"):
        with pytest.raises(InvalidRequest):
            read(tmp_path / name)
    with pytest.raises(NotFound):
        read(tmp_path / "requirements.txt")
