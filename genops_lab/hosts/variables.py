"""Which variables of the Lab's environment a person may want kernels on targets to get. Never their values."""

from __future__ import annotations

import os
import re

from .names import may_be_sent

#: As services call their keys.
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_KEY|(^|_)KEY(_|$)|(^|_)PAT$", re.I
)

#: Of Jupyter itself: whoever has them is this user here.
_OWN = re.compile(r"JUPYTER", re.I)


class VariablesService:
    """Names alone cross the wire."""

    async def list_secret_names(self) -> list[str]:
        """The Lab's variables whose names say that they are secret, without those that are never sent."""
        return sorted(
            name for name in os.environ if _SECRET.search(name) and may_be_sent(name) and not _OWN.match(name)
        )
