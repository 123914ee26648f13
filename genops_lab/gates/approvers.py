"""Find who approves. This program looks itself: a request to the Lab cannot name an approver."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from genops_lab.core.principals import PRINCIPAL

from .git_file import git
from .models import Approver


def hub_user() -> list[Approver]:
    """Return the user whom JupyterHub authenticated for this request."""
    asking = PRINCIPAL.get()
    if asking is None or asking.kind != "user" or not os.environ.get("JUPYTERHUB_USER"):
        return []
    return [Approver(name=asking.name, how="JupyterHub")]


def approvers(folder: str, environment: Mapping[str, str]) -> list[Approver]:
    """Return who approves by a signed commit that is checked out in ``folder``, or by starting a CI job. Blocks.

    folder: that of the gate file; empty if it is unknown.

    >>> approvers("", {"GITHUB_ACTIONS": "true", "GITHUB_TRIGGERING_ACTOR": "ada"})
    [Approver(name='ada', how='CI job')]
    """
    found = []
    if environment.get("GITHUB_ACTIONS") == "true":
        name = environment.get("GITHUB_TRIGGERING_ACTOR") or environment.get("GITHUB_ACTOR", "")
    else:
        name = environment.get("GITLAB_USER_LOGIN", "") if environment.get("GITLAB_CI") == "true" else ""
    if name:
        found.append(Approver(name=name, how="CI job"))
    if not folder or not Path(folder).is_dir():
        return found
    state, _, signer = git(Path(folder), "log", "-1", "--format=%G?%n%GS").partition("\n")
    if state == "G" and signer:
        found.append(Approver(name=signer, how="signed commit"))
    return found
