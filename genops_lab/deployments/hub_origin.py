"""Say where the files of a repository can be fetched, for a host that does so itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from genops_lab.core.errors import InvalidRequest
from genops_lab.registry.models import ModelVersion

from .hub_models import HUB_KIND, VARIABLE, is_offline

_ENDPOINT = "https://huggingface.co"


@dataclass(frozen=True)
class HubOrigin:
    """A repository at a commit. ``secret`` names the variable of the Lab with its token; empty for a public one."""

    repository: str
    commit: str
    secret: str

    @property
    def host(self) -> str:
        """The hub, or the mirror at HF_ENDPOINT, on the screen."""
        return urlsplit(_endpoint()).netloc.rpartition("@")[2]

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return f"{_endpoint()}/{self.repository}/resolve/{self.commit}/{quote(path)}"

    def token(self) -> str:
        """Return the token; empty for a public repository. Raises InvalidRequest if the variable is gone."""
        token = os.environ.get(self.secret, "") if self.secret else ""
        if self.secret and not token:
            raise InvalidRequest(
                f"The Lab's environment has no variable {self.secret}.",
                hint="Set it, and start JupyterLab again.",
            )
        return token


def origin_of(version: ModelVersion) -> HubOrigin | None:
    """Return the origin of a repository of the hub; None for anything else, and while no hub must be asked."""
    if not version.source.startswith(HUB_KIND) or version.run_id or is_offline():
        return None
    repository, _, commit = version.source.removeprefix(HUB_KIND).partition("#")[0].partition("@")
    return HubOrigin(repository, commit, version.tags.get(VARIABLE, ""))


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or _ENDPOINT
