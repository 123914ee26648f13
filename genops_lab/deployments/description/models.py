"""Wire types of deployment files. Sizes in bytes, times in seconds since 1970."""

from __future__ import annotations

import msgspec

from genops_lab.deployments.models import Deployable, Deployment, DeploymentCallerKey, DeploymentChange
from genops_lab.deployments.policy import RolloutPolicy
from genops_lab.deployments.scaling import Scale


class PlanDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a deployment file. ``file`` names it, ``folder`` has the public key that ``trust: {signer:}`` names.

    ``path`` is that of the file below the folder of JupyterLab, and stands for both. ``file`` is empty for a text that
    is in no file. ``trust`` is a digest that replaces the one in the file.
    """

    text: str
    file: str = "deployment.yaml"
    folder: str = ""
    path: str = ""
    trust: str = ""


class ApplyDescription(PlanDescription, frozen=True, kw_only=True):
    """Make a deployment what a file says.

    ``expect`` is the token of a plan: after a change by somebody else nothing is applied. ``seen`` is the ``now`` of
    that plan, so that the error can say what changed. ``replace_first`` stops the earlier revision first.
    ``take_over`` applies a file to a deployment that another file made.
    """

    expect: str = ""
    seen: str = ""
    replace_first: bool = False
    take_over: bool = False


class DescriptionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of an application of a file.

    ``expect`` changes with every change of the deployment. ``now`` is the file that would change nothing. ``message``
    says what happens to requests and ``downtime`` for how long nobody is answered, if anything. ``problem`` and
    ``hint`` say why it would be refused. ``new_revision`` is false if processes stay as they are. ``other_file`` is the
    file that was applied last, if that is another one: then an application must ``take_over``.
    """

    name: str
    exists: bool
    model: str
    version: str
    changes: list[DeploymentChange]
    expect: str
    now: str
    new_revision: bool
    message: str
    downtime: str = ""
    needs_bytes: int = 0
    free_bytes: int = 0
    needs_gpus: int = 0
    free_gpus: int = 0
    fits: bool = True
    digest: str = ""
    problem: str = ""
    hint: str = ""
    code: str = ""
    other_file: str = ""


class AppliedDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment after its file was applied, what was changed, and the new keys, which are shown once."""

    name: str
    deployment: Deployment
    changes: list[DeploymentChange]
    keys: list[DeploymentCallerKey] = []


class DescribedDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a deployment: the ``text`` that was applied, or one made of what runs.

    ``file`` is empty without an applied one. ``drift`` says what differs by now. ``problem`` says why it is unknown.
    """

    name: str
    text: str
    now: str
    file: str = ""
    applied_at: float = 0.0
    drift: list[DeploymentChange] = []
    problem: str = ""


class DescribeVersion(Deployable, frozen=True, kw_only=True):
    """Ask for the file that deploys this.

    ``pinned`` files trust the digest of the model's files as they are. ``sleep_minutes``, ``scale`` and ``rollout``
    are those of ``NewDeployment``.
    """

    pinned: bool = True
    sleep_minutes: float = 0.0
    scale: Scale | None = None
    rollout: RolloutPolicy | None = None


class DescriptionText(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a deployment file."""

    text: str
