"""Offer pods of a Kubernetes namespace as a kind of target: each kernel gets a pod of its own."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ....core.errors import InvalidRequest
from ...link.route import HostRef, Route
from ..base import Capacity, Gone, HostProvider, Observed, Pending, Resources, Running, TestStep
from .capacity import capacity
from .config import IN_CLUSTER, KubernetesConfig
from .errors import (
    VERBS,
    ApiUnreachable,
    KubeconfigUnusable,
    KubernetesError,
    LoginRefused,
    NodeSilent,
    PermissionMissing,
    PodNotStarted,
    TemplateUnusable,
    missing_permission,
    not_queued,
)
from .explanation import (
    cannot_start,
    container_of,
    has_journal,
    is_over,
    observed,
    read_by,
    silent_node,
)
from .kueue import MANAGED, has_taken
from .manifest import JOURNAL, QUEUE, dropped, pod_name, read_template, reader, reader_name, selector
from .manifest import pod as pod_of

if TYPE_CHECKING:
    from ...configuration import FormField, HostConfig
    from ...link.carrier import HostStream
    from ...link.errors import LinkError
    from ...link.questions import Asker

#: Seconds for a pod to end whose kernel was stopped.
_GRACE_S = 1
#: Seconds that a new pod waits for the end of the one that had its name.
_NAME_FREE_S = 40.0
_TEST = "test-"


class KubernetesProvider(HostProvider):
    """A bare pod for each kernel, found again by its name and labels. No controller starts it again."""

    kind = "kubernetes"
    label = "A Kubernetes namespace"
    config_type = KubernetesConfig
    test_steps = (
        TestStep(name="api", label="API server", message="The API server accepts the account."),
        TestStep(
            name="permissions",
            label="Permissions",
            message="The account may create pods and run commands in them.",
        ),
        TestStep(
            name="admission", label="Admission", message="Quotas and rules of the namespace allow the pod."
        ),
        TestStep(name="pod", label="Pod", message="The pod runs."),
    )
    allocates = tells_changes = True
    host_noun = "pod"
    request_language = "yaml"
    template_field = "pod_template"

    def __init__(self) -> None:
        #: why a pod waited when the API server last answered
        self._waited: dict[HostRef, str] = {}
        #: how many changes were told before the last look
        self._told: dict[HostRef, int] = {}
        #: hosts that were given back: nothing of them is read any more
        self._released: set[HostRef] = set()

    def check(self, config: HostConfig) -> None:
        """Raise InvalidRequest for an invalid field, and where nothing names an image."""
        super().check(config)
        own = _config_of(config)
        if not own.image and not own.pod_template:
            raise InvalidRequest(
                "A Kubernetes target needs an image.",
                hint="Give an image, or a pod template that names one.",
            )

    def where(self, config: HostConfig) -> str:
        """Return the namespace and its context."""
        own = _config_of(config)
        return f"{own.namespace} ({own.context})"

    def by_hand(self, config: HostConfig, command: str) -> str:
        """Return the command, run by kubectl in a pod; POD stands for its name."""
        own = _config_of(config)
        context = "" if own.context == IN_CLUSTER else f"--context {shlex.quote(own.context)} "
        return f"kubectl {context}-n {own.namespace} exec -it POD -c kernel -- sh -c {shlex.quote(command)}"

    def shares_storage(self, config: HostConfig) -> bool:
        """Return whether the home folder is on a volume."""
        own = _config_of(config)
        mounts = [each.split(":")[1].rstrip("/") for each in own.volumes.replace(" ", "").split(",") if each]
        return bool(own.home) and any(f"{own.home}/".startswith(f"{path}/") for path in mounts)

    def request(self, target: Route, name: str, resources: Resources) -> str:
        """Return the Pod manifest as YAML."""
        import yaml

        class Plain(yaml.SafeDumper):
            def ignore_aliases(self, data: Any) -> bool:
                return True  # people read and edit it

        return str(yaml.dump(_manifest(target, name, resources), Dumper=Plain, sort_keys=False))

    def default_resources(self, config: HostConfig) -> Resources:
        """Also return the memory and the time."""
        from .request_limits import quantity

        own = _config_of(config)
        return msgspec.structs.replace(
            super().default_resources(config),
            memory_bytes=int(quantity(own.memory)) if own.memory else None,
            time_s=own.hours * 3600 or None,
        )

    def check_request(
        self, target: Route, name: str, resources: Resources, fields: Sequence[FormField]
    ) -> None:
        """Hold the whole manifest against the limits."""
        from .request_limits import check_manifest

        check_manifest(_manifest(target, name, resources), _config(target), fields)

    async def allocate(self, target: Route, name: str, resources: Resources) -> HostRef:
        """Create the pod, unless it runs or waits already. One that has ended is replaced first."""
        config = _config(target)
        manifest = await asyncio.to_thread(_manifest, target, name, resources)
        self._released.discard(self.host_of(target, name))
        try:
            if config.journal_claim:
                await self._delete(target, config, "", _GRACE_S, reader_name(manifest["metadata"]["name"]))
            if name.startswith(_TEST):
                await self._check_access(target, config, manifest)
            await self._create(target, config, manifest)
        except PermissionMissing as error:
            raise await self._named(target, config, error) from None
        return self.host_of(target, name)

    async def observe(self, host: Route) -> Observed:
        config = _config(host)
        try:
            pod, found = await self._look(host, config)
        except (ApiUnreachable, KubeconfigUnusable, LoginRefused) as error:  # a person can mend it meanwhile
            waited = self._waited.get(host.ref)
            if waited is None:
                raise
            return Pending(reason=f"{error.message} Before: {waited}")
        except PermissionMissing as error:
            raise await self._named(host, config, error) from None
        if isinstance(found, Pending):
            self._waited[host.ref] = found.reason
        else:
            self._waited.pop(host.ref, None)
        if host.host_id.startswith(_TEST) and pod is not None:
            if isinstance(found, Gone):
                raise PodNotStarted(f"The pod of the test has ended: {found.why}", hint=_pod_hint(config))
            if isinstance(found, Pending) and cannot_start(pod):
                raise PodNotStarted(found.reason, hint=_pod_hint(config))
        return found

    async def changed(self, host: Route) -> None:
        """Return once the watch tells of a change after the last look."""
        from .api import change_after

        name = pod_name(host.target, host.host_id)
        await change_after(_config(host), name, self._told.get(host.ref, 0))

    async def release(self, host: Route) -> None:
        """Delete the pod. Harmless where there is none."""
        self._waited.pop(host.ref, None)
        self._told.pop(host.ref, None)
        self._released.add(host.ref)
        config = _config(host)
        await self._delete(host, config, "", _GRACE_S)
        if config.journal_claim:
            await self._delete(host, config, "", _GRACE_S, reader_name(pod_name(host.target, host.host_id)))

    async def list_hosts(self, target: Route) -> list[HostRef]:
        config = _config(target)
        listed = await self._ask(target, config, "list", selector=selector(target.target))
        found = [
            HostRef(target.target, each["metadata"]["annotations"]["genops-lab/host-id"])
            for each in listed
            if "deletionTimestamp" not in each["metadata"]
            and "genops-lab/host-id" in (each["metadata"].get("annotations") or {})
        ]
        return list(dict.fromkeys(found))

    async def why_silent(self, host: Route) -> LinkError | None:
        pod, _found = await self._look(host, _config(host))
        node = "" if pod is None else silent_node(pod)
        return NodeSilent.named(node) if node else None

    async def capacity(self, target: Route, *, connect: bool) -> Capacity:
        """Return which GPUs are free, as far as the account may read it. Raises LinkError."""
        from .api import ask, is_connected

        config = _config(target)
        if not connect and not is_connected(config):
            return Capacity(note="The API server was not asked yet.")
        found = await ask(
            target.target, config, "capacity", namespace=config.namespace, queue=config.queue,
            resource=config.gpu_resource, kinds_by=config.gpu_label,
        )  # fmt: skip
        return capacity(config.gpu_resource, config.queue, **found)

    def load(self) -> None:
        """Import the streams."""
        from . import api, streams  # noqa: F401

    async def open_stream(
        self, host: Route, command: Sequence[str], asker: Asker, folder: Path
    ) -> HostStream:
        """Run the command in the kernel's container; once that has ended, in the one that has its journal."""
        from .streams import open_pod_stream

        config = _config(host)
        pod, found = await self._look(host, config)
        if pod is None or isinstance(found, Gone):
            why = found.why if isinstance(found, Gone) else "It was deleted."
            error = KubernetesError(f"The pod of {host.target} has just ended: {why}", hint="Connect again.")
            error.is_cut = True  # the next look says that it is gone
            raise error
        container = container_of(pod)
        ended = found.over if isinstance(found, Running) and container == JOURNAL else ""
        return await open_pod_stream(host, config, pod, container, command, ended)

    # Helpers

    async def _ask(self, target: Route, config: KubernetesConfig, op: str, **params: Any) -> Any:
        from .api import ask

        # One watch serves all targets of this user in a namespace.
        where = {"namespace": config.namespace, "selector": selector(), **params}
        return await ask(target.target, config, op, **where)

    async def _look(self, host: Route, config: KubernetesConfig) -> tuple[dict[str, Any] | None, Observed]:
        from .api import changes

        name = pod_name(host.target, host.host_id)
        self._told[host.ref] = changes(config, name)
        seen = await self._ask(host, config, "look", name=name)
        found = observed(
            seen["pod"],
            seen["events"],
            config,
            namespace_ends=seen["namespace_ends"],
            now=time.time() + seen["ahead_s"],
            last=seen["last"],
            queued=seen["kueue"],
        )
        if isinstance(found, Running) and found.ends_at:  # by the cluster's clock
            found = msgspec.structs.replace(found, ends_at=found.ends_at - seen["ahead_s"])
        last = seen["pod"] or seen["last"]
        kept = config.journal_claim and not seen["namespace_ends"] and host.ref not in self._released
        if isinstance(found, Gone) and kept and last is not None and has_journal(last):
            return await self._read_journal(host, config, last, found.why)
        return seen["pod"], found

    async def _read_journal(
        self, host: Route, config: KubernetesConfig, lost: dict[str, Any], why: str
    ) -> tuple[dict[str, Any] | None, Observed]:
        """Return the pod that serves the journal of a lost one from its claim, and its state."""
        name = reader_name(lost["metadata"]["name"])
        seen = await self._ask(host, config, "look", name=name)
        pod = seen["pod"]
        if pod is None:
            manifest = await asyncio.to_thread(_manifest, host, host.host_id, Resources())
            try:
                pod = await self._ask(host, config, "create", manifest=reader(manifest), dry_run=False)
            except (ApiUnreachable, KubeconfigUnusable, LoginRefused):
                raise
            except KubernetesError as error:
                return None, Gone(why=f"{why} Its last outputs cannot be read: {error.message}")
        return pod, read_by(pod, seen["events"], config, why)

    async def _create(self, target: Route, config: KubernetesConfig, manifest: dict[str, Any]) -> None:
        deadline = time.monotonic() + _NAME_FREE_S
        name = manifest["metadata"]["name"]
        while True:
            made = await self._ask(target, config, "create", manifest=manifest, dry_run=False)
            if not is_over(made):
                return
            # Never two pods with one name: the old one must be gone, which a lost node can delay for ever.
            if "deletionTimestamp" not in made["metadata"]:
                await self._delete(target, config, made["metadata"]["uid"], _GRACE_S, name)
            elif time.monotonic() > deadline:
                if MANAGED in (made["metadata"].get("finalizers") or []):
                    raise KubernetesError(
                        f"The kernel's former pod {name} is still being deleted: Kueue has not let go of it.",
                        hint="Ask the cluster's administrator whether Kueue's controller runs.",
                    )
                node = (made.get("spec") or {}).get("nodeName") or "its node"
                raise KubernetesError(
                    f"The kernel's former pod {name} is still being deleted: {node} does not confirm its end.",
                    hint=f"If the node is lost for good: kubectl -n {config.namespace} delete pod {name} --force. "
                    "Then restart the kernel.",
                )
            await asyncio.sleep(0.2)

    async def _delete(
        self, target: Route, config: KubernetesConfig, uid: str, grace_s: int, name: str = ""
    ) -> None:
        name = name or pod_name(target.target, target.host_id)
        await self._ask(target, config, "delete", name=name, uid=uid, grace_s=grace_s)

    async def _check_access(self, target: Route, config: KubernetesConfig, manifest: dict[str, Any]) -> None:
        """Raise the error of the first thing that a start would lack. Creates nothing."""
        from .api import ask

        verbs = [list(each) for each in VERBS]
        lacking = await ask(target.target, config, "lacking", namespace=config.namespace, verbs=verbs)
        if lacking:
            raise missing_permission(target.target, config, lacking)
        name = f"{manifest['metadata']['name']}-check"  # the pod itself may be on its way out
        tried = {**manifest, "metadata": {**manifest["metadata"], "name": name}}
        made = await self._ask(target, config, "create", manifest=tried, dry_run=True)
        if lost := ", ".join(f"spec.{name}" for name in dropped(tried, made)):
            raise TemplateUnusable(
                f"The API server dropped {lost} of the pod template: this cluster does not support that.",
                hint="Remove it from the pod template, or choose a cluster that has it.",
            )
        if queue := manifest["metadata"]["labels"].get(QUEUE):
            found = await self._ask(target, config, "queue", queue=queue)
            if error := not_queued(config, queue, gated=has_taken(made) and not has_taken(tried), **found):
                raise error

    async def _named(
        self, target: Route, config: KubernetesConfig, error: PermissionMissing
    ) -> PermissionMissing:
        """Return the error with all verbs that the account lacks, where it can be asked."""
        from .api import ask

        try:
            verbs = [list(each) for each in VERBS]
            lacking = await ask(target.target, config, "lacking", namespace=config.namespace, verbs=verbs)
        except KubernetesError:
            return error
        return missing_permission(target.target, config, lacking) if lacking else error


def _manifest(target: Route, name: str, resources: Resources) -> dict[str, Any]:
    """Return the Pod of a host; reads the target's template."""
    config = _config(target)
    template = read_template(config.pod_template) if config.pod_template else None
    return pod_of(config, target.target, name, resources, template)


def _config(route: Route) -> KubernetesConfig:
    return _config_of(route.config)


def _config_of(config: HostConfig) -> KubernetesConfig:
    assert isinstance(config, KubernetesConfig), config
    return config


def _pod_hint(config: KubernetesConfig) -> str:
    return f"See what Kubernetes says: kubectl -n {config.namespace} get events"


PROVIDER = KubernetesProvider()
