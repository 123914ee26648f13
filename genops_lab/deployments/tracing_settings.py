"""Say which requests of a deployment become traces in MLflow (``genai/traces/deployments.py``)."""

from __future__ import annotations

from typing import Annotated

import msgspec

EXPERIMENT = "deployments"


class Traced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ``sample`` of a deployment's requests that become traces, more than 0 to 1, in an MLflow ``experiment``."""

    sample: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    experiment: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] = EXPERIMENT

    @property
    def text(self) -> str:
        """The setting in words.

        >>> Traced(sample=0.05).text
        '5 % of the requests, in the experiment deployments'
        """
        return f"{100 * self.sample:g} % of the requests, in the experiment {self.experiment}"
