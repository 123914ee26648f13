"""Files that ``genops gates init`` writes."""

from __future__ import annotations

from pathlib import Path

#: By CI: the template, and where its file belongs in a repository.
CI_FILES = {
    "github": ("github.yml", ".github/workflows/gates.yml"),
    "gitlab": ("gitlab.yml", ".gitlab-ci.yml"),
}


def example(name: str) -> str:
    """Return the text of a template.

    >>> "kind: Gates" in example("gates.yaml")
    True
    """
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
