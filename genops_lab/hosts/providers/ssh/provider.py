"""Offer hosts over SSH as a kind of target, with two carriers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...link import bootstrap
from ...link.errors import ConfigurationUnusable
from ..base import HostProvider, TestStep
from .config import SshConfig, SshRoute

if TYPE_CHECKING:
    from ...configuration import HostConfig
    from ...link.carrier import HostStream
    from ...link.questions import Asker
    from ...link.route import Route
    from ...models import Candidate
    from .ssh_config import Plan


class SshProvider(HostProvider):
    """A target that is one SSH host. Empty fields of its configuration take their value from the user's
    ssh_config."""

    kind = "ssh"
    label = "A host over SSH"
    config_type = SshConfig
    test_steps = (
        TestStep(name="reachable", label="Reachable", message="It answers."),
        TestStep(name="host_key", label="Host key", message="The host shows its known key."),
        TestStep(name="login", label="Login", message="Logged in.", detail="Logged in as {user}."),
    )

    def where(self, config: HostConfig) -> str:
        """Return the host, as the user named it."""
        return _ssh(config).host

    def by_hand(self, config: HostConfig, command: str) -> str:
        """Return the command, run by ssh."""
        return f"{shlex.join(_login(_ssh(config)))} {shlex.quote(command)}"

    def forwarding(self, config: HostConfig, port: int) -> str:
        """Return the line of ssh that forwards the port."""
        *options, host = _login(_ssh(config))
        return shlex.join([*options, "-N", "-L", f"{port}:127.0.0.1:{port}", host])

    def candidates(self, known: Sequence[Route]) -> list[Candidate]:
        """Return the hosts of the user's ssh_config."""
        from .candidates import candidates

        return candidates(known)

    def load(self) -> None:
        """Import both carriers."""
        from . import openssh_carrier, paramiko_carrier  # noqa: F401

    async def open_stream(
        self, host: Route, command: Sequence[str], asker: Asker, folder: Path
    ) -> HostStream:
        """Log in and run the command. Raises LinkError."""
        from . import ssh_config
        from .openssh_carrier import OpensshCarriage
        from .paramiko_carrier import ParamikoCarriage

        line, route = bootstrap.shell_line(command), ssh_route(host)
        plan = await ssh_config.plan(route, folder)
        carrier, _ = _carrier_of(route, plan)
        if carrier == "paramiko":
            try:
                return await ParamikoCarriage.start(route, plan, asker, folder, line)
            except ConfigurationUnusable as error:
                if (
                    error.code != "ssh_incompatible"
                    or route.carrier != "auto"
                    or ssh_config.ssh_program() is None
                ):
                    raise
        return await OpensshCarriage.start(route, plan, asker, folder, line)


def ssh_route(host: Route) -> SshRoute:
    """Return the route to an SSH target's host."""
    return SshRoute(target=host.target, **msgspec.structs.asdict(_ssh(host.config)))


async def chosen_carrier(host: Route, folder: Path) -> tuple[str, str]:
    """Return a target's carrier (``paramiko``, ``openssh``) and the reason. Raises ConfigurationUnusable."""
    from . import ssh_config

    route = ssh_route(host)
    return _carrier_of(route, await ssh_config.plan(route, folder))


def _carrier_of(route: SshRoute, plan: Plan) -> tuple[str, str]:
    from . import ssh_config

    carrier, why = str(route.carrier), "chosen for this target"
    if carrier == "auto":
        carrier, why = ("openssh", plan.needs_openssh) if plan.needs_openssh else ("paramiko", "the default")
    if carrier == "openssh" and ssh_config.ssh_program() is None:
        raise ConfigurationUnusable(
            f"{route.target} needs the system's ssh ({why}), which is not installed on this machine.",
            hint="Install OpenSSH's client.",
        )
    return carrier, why


def _ssh(config: HostConfig) -> SshConfig:
    assert isinstance(config, SshConfig), config
    return config


def _login(ssh: SshConfig) -> list[str]:
    """Return the words of a login by hand; the last one is the host."""
    words = ["ssh"]
    if ssh.port:
        words += ["-p", str(ssh.port)]
    if ssh.user:
        words += ["-l", ssh.user]
    if ssh.identity_file:
        words += ["-i", ssh.identity_file]
    return [*words, ssh.host]


PROVIDER = SshProvider()
