"""Offer the check of files and the environments of models to evaluations."""

from __future__ import annotations

import os

import msgspec

from genops_lab.agent.model_variables import model_environment
from genops_lab.core.errors import Conflict
from genops_lab.evaluations.loading import CheckedVersion, ModelLoading
from genops_lab.registry.models import ModelVersion

from .check import ModelChecker, refuse_misleading
from .environments import Environments, requirements_on


def model_loading(checker: ModelChecker, environments: Environments) -> ModelLoading:
    """Return what evaluations need, with the same question of trust as a deployment."""

    async def check(version: ModelVersion) -> CheckedVersion:
        found = await checker.check(version)
        refused = ""
        try:
            refuse_misleading(found.check)
        except Conflict as error:
            refused = error.message
        return CheckedVersion(
            version=version,
            trusted=found.check.trusted,
            digest=found.check.digest,
            stamp=found.stamp,
            allow_pickle=found.allow_pickle,
            shown=msgspec.to_builtins(found.check),
            refused=refused,
        )

    def environment(allow_pickle: bool) -> dict[str, str]:
        return model_environment(os.environ, allow_pickle=allow_pickle)

    return ModelLoading(check, checker.take, environments.interpreter, environment, requirements_on)
