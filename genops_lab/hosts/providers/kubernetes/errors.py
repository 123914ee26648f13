"""The errors of Kubernetes targets, and the error for an answer of the API server.

KubernetesError
|-- ApiUnreachable     step api          no answer, refused, TLS
|-- KubeconfigUnusable step api          no such context or file, a plugin that fails
|-- LoginRefused       step api          401
|-- PermissionMissing  step permissions  a verb that the account lacks
|-- QuotaExceeded      step admission    a ResourceQuota
|-- PodRefused         step admission    LimitRange, webhook, policy, no such account, class or namespace
|-- TemplateUnusable   step admission    the pod template
|-- NotQueued          step admission    Kueue does not hold pods of the queue
|-- PodNotStarted      step pod          the pod of a test cannot start
`-- NodeSilent         step pod          the node of a running pod does not answer
"""

from __future__ import annotations

from typing import Any

from ...link.errors import LinkError, outside_words
from .config import IN_CLUSTER, KubernetesConfig


class KubernetesError(LinkError):
    """The cluster did not do what was asked."""

    code = "kubernetes"
    step = "api"


class ApiUnreachable(KubernetesError):
    """The API server does not answer."""

    code = "kubernetes_unreachable"
    is_cut = True


class KubeconfigUnusable(KubernetesError):
    """The kubeconfig has no such context, or cannot be used."""

    code = "kubeconfig"


class LoginRefused(KubernetesError):
    """The API server does not accept the account."""

    code = "kubernetes_login"


class PermissionMissing(KubernetesError):
    """The account lacks a verb."""

    code = "kubernetes_permission"
    step = "permissions"


class QuotaExceeded(KubernetesError):
    """A quota of the namespace leaves too little for the pod."""

    code = "kubernetes_quota"
    step = "admission"


class PodRefused(KubernetesError):
    """The API server does not take the pod as it is."""

    code = "kubernetes_pod_refused"
    step = "admission"


class TemplateUnusable(KubernetesError):
    """The pod template cannot be used."""

    code = "kubernetes_template"
    step = "admission"


class NotQueued(KubernetesError):
    """Kueue does not hold pods of the target's queue, or would hold them for ever."""

    code = "kubernetes_queue"
    step = "admission"


class PodNotStarted(KubernetesError):
    """The pod cannot start."""

    code = "kubernetes_pod"
    step = "pod"


class NodeSilent(KubernetesError):
    """The node of a pod does not answer. The pod may run on."""

    code = "kubernetes_node"
    step = "pod"
    is_cut = True

    @classmethod
    def named(cls, node: str, said: str = "") -> NodeSilent:
        """Return the error for a node (empty: unknown); ``said`` is the API server's reason."""
        which = f"The node {node} of the pod" if node else "The node of the pod"
        return cls(
            f"{which} does not answer{f': {said}' if said else ''}.",
            hint="GenOps Lab tries again. The kernel is lost only when Kubernetes says so.",
        )


#: verb, resource, subresource: what a target's account must be allowed, in its namespace.
VERBS: tuple[tuple[str, str, str], ...] = (
    ("get", "pods", ""),
    ("list", "pods", ""),
    ("watch", "pods", ""),
    ("create", "pods", ""),
    ("delete", "pods", ""),
    ("get", "pods", "exec"),
    ("create", "pods", "exec"),
    ("list", "events", ""),
    ("watch", "events", ""),
)


def missing_permission(target: str, config: KubernetesConfig, missing: list[list[str]]) -> PermissionMissing:
    """Return the error that names the verbs which an account lacks."""
    named = ", ".join(f"{verb} {resource}{f'/{sub}' if sub else ''}" for verb, resource, sub in missing)
    return PermissionMissing(
        f"The account of context {config.context} may not: {named} (namespace {config.namespace}).",
        hint=f"An administrator applies the Role that this prints: genops targets role {target}",
    )


def not_queued(
    config: KubernetesConfig, queue: str, *, gated: bool, kueue: bool, queue_exists: bool | None
) -> NotQueued | None:
    """Return the error for a queue that would not hold a pod, or never let it go; None for one that works."""
    where = f"namespace {config.namespace}"
    if not kueue and not gated:
        return NotQueued(
            f"Kueue does not gate pods in {where}: the cluster has no Kueue.",
            hint="Remove the target's queue. Pods then start without one.",
        )
    if queue_exists is False:
        return NotQueued(
            f"The {where} has no LocalQueue {queue}: Kueue would never admit a pod.",
            hint=f"Give the target another queue: kubectl -n {config.namespace} get localqueues",
        )
    if not gated:
        return NotQueued(
            f"Kueue does not gate pods in {where}: a trial pod of queue {queue} got no scheduling gate.",
            hint="An administrator enables Kueue's integration 'pod', with a managedJobsNamespaceSelector that "
            "matches the namespace. Without it pods start outside the queue.",
        )
    return None


def error_of(answer: dict[str, Any], target: str, config: KubernetesConfig) -> KubernetesError:
    """Return the error for the child's ``error`` object: kind, status, reason, message."""
    said = outside_words(str(answer.get("message") or answer.get("reason") or "no reason given"), 400).rstrip(
        "."
    )
    kind, status = answer.get("kind"), int(answer.get("status") or 0)
    where = f"context {config.context}"
    if kind == "config":
        return _unusable(str(answer.get("reason") or ""), said, target, config)
    if kind == "unreachable" and "certificate" in said and ("not yet valid" in said or "expired" in said):
        return ApiUnreachable(
            f"The certificate of the API server of {where} is not valid now: {said}.",
            hint="Check this machine's clock first, then ask the cluster's administrator.",
        )
    if kind == "unreachable":
        return ApiUnreachable(
            f"The API server of {where} does not answer: {said}.",
            hint="Check the network or VPN. In a hub, a NetworkPolicy must allow egress to the API server: "
            f"genops targets role {target}",
        )
    credential, named = answer.get("credential") or ("", "")
    if status == 401 or credential:
        return LoginRefused(
            f"The API server of {where} does not accept {named or 'the account'}: {said}.",
            hint=_login_hint(credential, config),
        )
    if status == 403 and "exceeded quota" in said:
        return QuotaExceeded(
            f"The quota of namespace {config.namespace} is used up: {said}.",
            hint="Shut down kernels that you do not need, or request less. "
            f"See: kubectl describe quota -n {config.namespace}",
        )
    if status == 403 and "cannot " in said and " resource " in said:
        return PermissionMissing(
            f"The account of {where} lacks a permission: {said}.",
            hint=f"An administrator applies the Role that this prints: genops targets role {target}",
        )
    if status == 404 and "namespaces" in said:
        return PodRefused(
            f"{_capital(where)} has no namespace {config.namespace}.",
            hint="Give the target an existing namespace: kubectl get namespaces",
        )
    if status in (400, 403, 404, 422):
        return PodRefused(f"The API server refused the pod: {said}.", hint=_refusal_hint(said, config))
    error = KubernetesError(f"The API server of {where} answered {status}: {said}.", hint="Try again.")
    error.is_cut = status >= 500
    return error


def _unusable(reason: str, said: str, target: str, config: KubernetesConfig) -> KubeconfigUnusable:
    """Return the error for credentials that cannot be read; ``reason`` is their kind."""
    context = config.context
    if reason == "account":
        return KubeconfigUnusable(
            f"Context {IN_CLUSTER} cannot be used: {said}.",
            hint="JupyterLab does not run in a pod with a service account: give a context of your kubeconfig.",
        )
    if reason == "context":
        return KubeconfigUnusable(
            f"There is no context {context}: {said}.",
            hint=f"Rename it back, or give {target} another context: kubectl config get-contexts",
        )
    if reason == "file":
        return KubeconfigUnusable(
            f"The kubeconfig of {target} cannot be used: {said}.",
            hint="Give the target a file (field kubeconfig), or check it: kubectl config get-contexts",
        )
    if reason == "plugin":
        return KubeconfigUnusable(
            f"The plugin of context {context} gave no credential: {said}.",
            hint=f"Run it in a terminal, where it can ask you: kubectl --context {context} get pods",
        )
    if reason == "auth-provider":
        return KubeconfigUnusable(
            f"The auth-provider of context {context} gave no token: {said}.",
            hint="Kubernetes has replaced auth-providers with plugins. Get a new kubeconfig from your cluster.",
        )
    return KubeconfigUnusable(
        f"Context {context} cannot be used: {said}.",
        hint="Check it: kubectl config get-contexts, then kubectl get pods",
    )


def _login_hint(credential: str, config: KubernetesConfig) -> str:
    """Return what to do about a credential that the API server refuses."""
    check = f"kubectl --context {config.context} get pods"
    if credential == "account":
        return "Restart your JupyterLab: its pod then gets a new token. Check that its service account still exists."
    if credential == "token file":
        return "The program that writes this file must renew it. GenOps Lab then goes on by itself."
    if credential in ("token", "certificate"):
        return f"Get a new kubeconfig from your cluster, then check: {check}"
    if credential == "none":
        return f"Add the user to the kubeconfig: kubectl config set-credentials. Then check: {check}"
    return f"Log in again as your cluster asks, then check: {check}"


def _refusal_hint(said: str, config: KubernetesConfig) -> str:
    if "is being terminated" in said:
        return f"Namespace {config.namespace} is being deleted. Give the target another one."
    if "admission webhook" in said:
        return "A rule of the cluster refuses this pod. Change the fields that it names, or ask its administrator."
    if "service account" in said or "serviceaccount" in said:
        return f"Create the account, or give the target another one: kubectl get sa -n {config.namespace}"
    if "LimitRange" in said or "usage per" in said or "maximum " in said:
        return f"Request less or more, as the LimitRange allows: kubectl describe limitrange -n {config.namespace}"
    if "must specify" in said:
        return "Give the target CPUs and memory: the namespace's quota requires them."
    if "PriorityClass" in said:
        return "Give the target a priority class that exists: kubectl get priorityclasses"
    return "Correct the fields of the target that the message names."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
