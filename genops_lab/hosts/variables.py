"""List the Lab's variables that a user may want to send to kernels on targets, by name, without values."""

from __future__ import annotations

import os
import re

from .names import may_be_sent

#: The names of services' keys.
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_KEY|(^|_)KEY(_|$)|(^|_)PAT$", re.I
)

#: Jupyter's own: a process that has them can act as this user here.
_OWN = re.compile(r"JUPYTER", re.I)


class VariablesService:
    """Sends only names over the wire."""

    async def list_secret_names(self) -> list[str]:
        """Return the names of the Lab's secret variables, without those that are never sent."""
        return sorted(
            name for name in os.environ if _SECRET.search(name) and may_be_sent(name) and not _OWN.match(name)
        )
