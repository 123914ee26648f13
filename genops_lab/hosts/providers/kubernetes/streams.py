"""Open a byte stream to a command in a pod: the websocket of ``pods/exec``, or ``kubectl exec``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ...link.carrier import End
from ...link.errors import LinkError, outside_words
from ...link.route import Route
from ..process_stream import ProcessCarriage
from .api import ask
from .config import IN_CLUSTER, KubernetesConfig
from .errors import KubeconfigUnusable, KubernetesError, NodeSilent, error_of
from .exec_child import REFUSED
from .manifest import ENTER

_PROGRAM = (
    "import sys; sys.path = [entry for entry in sys.path if entry];"
    "from genops_lab.hosts.providers.kubernetes.exec_child import main; main()"
)
_ENDED = "GENOPS_ENDED_BECAUSE=$1; export GENOPS_ENDED_BECAUSE; shift; "


class PodStream(ProcessCarriage):
    """A stream whose end says nothing of the pod: that comes from the API."""

    def __init__(self, host: Route, carrier: str, config: KubernetesConfig, node: str) -> None:
        super().__init__(host, carrier)
        self._config = config
        self._node = node

    async def end(self) -> End:
        end = await super().end()
        if end.exit_code == REFUSED:
            *_, last = end.stderr.strip().splitlines() or ["{}"]
            return End(None, end.stderr, self._refusal(last), "the API server refused it")
        if end.exit_code in (126, 127):
            return end
        if end.exit_code is None:
            return end
        last = outside_words(end.stderr.strip().splitlines()[-1]) if end.stderr.strip() else ""
        return End(None, end.stderr, reason=last.rstrip(".") or "the stream to the pod ended")

    def _refusal(self, line: str) -> LinkError:
        try:
            said = json.loads(line)
        except ValueError:
            said = {"message": line}
        if "dialing backend" in str(said.get("message")):
            return NodeSilent.named(self._node, outside_words(str(said["message"])).rstrip("."))
        return error_of(said, self.route.target, self._config)


async def open_pod_stream(
    host: Route,
    config: KubernetesConfig,
    pod: dict[str, Any],
    container: str,
    command: Sequence[str],
    ended: str = "",
) -> PodStream:
    """Run a command in a container; ``ended`` is why the kernel's own container is no longer there. Raises
    LinkError."""
    line = ["/bin/sh", "-c", ENTER, "sh", *command]
    if ended:
        line = ["/bin/sh", "-c", _ENDED + ENTER, "sh", ended, *command]
    name, node = pod["metadata"]["name"], str(pod["spec"].get("nodeName") or "")
    access = await ask(host.target, config, "access")
    if config.connection == "kubectl" or (config.connection == "auto" and access["needs_kubectl"]):
        return await _by_kubectl(host, config, (name, node), container, line, access["needs_kubectl"])
    query = [("container", container), ("stdin", "1"), ("stdout", "1"), ("stderr", "1")]
    query += [("command", word) for word in line]
    path = f"/api/v1/namespaces/{quote(config.namespace)}/pods/{quote(name)}/exec?{urlencode(query)}"
    url = access.pop("host").rstrip("/").replace("http", "ws", 1) + path
    stream = PodStream(host, "websocket", config, node)
    try:
        await stream.spawn([sys.executable, "-c", _PROGRAM])
    except OSError as error:
        raise KubernetesError(
            f"The process of the connection cannot start: {error}", hint="Try again."
        ) from error
    stream.writer.write(json.dumps({**access, "url": url}).encode() + b"\n")
    return stream


async def _by_kubectl(
    host: Route, config: KubernetesConfig, pod: tuple[str, str], container: str, line: list[str], why: str
) -> PodStream:
    name, node = pod
    program = shutil.which("kubectl")
    if program is None:
        needs = f"needs kubectl ({why})" if why else "is set to use kubectl"
        raise KubeconfigUnusable(
            f"{host.target} {needs}, which is not installed on this machine.",
            hint="Install kubectl, or give the target a context without it.",
        )
    where = [] if config.context == IN_CLUSTER else ["--context", config.context]
    if config.kubeconfig:
        where += ["--kubeconfig", config.kubeconfig]
    where += ["--namespace", config.namespace]
    stream = PodStream(host, "kubectl", config, node)
    try:
        await stream.spawn([program, *where, "exec", "-i", name, "--container", container, "--", *line])
    except OSError as error:
        raise KubeconfigUnusable(f"kubectl cannot start: {error}", hint="Check the program.") from error
    return stream
