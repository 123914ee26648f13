"""Deployments as documents."""

from __future__ import annotations

from collections.abc import Sequence

from genops_lab.deployments.addresses import Address
from genops_lab.deployments.models import (
    DeployCheck,
    Deployment,
    DeploymentCallerKey,
    LogLines,
    LogTail,
    Serving,
)

from ..document import Block, Column, Document, Facts, Lines, Note, Row, Table, moment, size, state_cell
from .rollouts import rollout

SHOWN_FILES = 20
_AUTHORITY = (
    "If the certificate is of an authority of your own, name its file: SSL_CERT_FILE=authority.pem for the openai "
    "client, httpx and urllib, --cacert authority.pem for curl."
)


def _latency(shown: Deployment) -> str:
    return "" if shown.latency_ms is None else f"{shown.latency_ms:.1f} ms"


def deployments(found: list[Deployment]) -> Document:
    """``deployments list``."""
    rows: list[Row] = [
        [
            each.name,
            state_cell(each.state),
            each.model,
            each.version,
            each.target,
            str(each.requests),
            str(each.errors),
            _latency(each),
            each.url,
            each.file,
        ]
        for each in found
    ]
    columns = [
        Column("name", shrinks=True, narrowest=16),
        Column("state"),
        Column("model", shrinks=True, narrowest=16, leaves=3),
        Column("version", right=True),
        Column("target", shrinks=True, narrowest=8, leaves=4),
        Column("requests", right=True, leaves=2),
        Column("errors", right=True),
        Column("latency", right=True, leaves=1),
        Column("url"),
        Column("file", shrinks=True, narrowest=12, leaves=4),
    ]
    return Document(
        [Table(columns, rows, empty="There are no deployments. Deploy a model: genops deploy MODEL")]
    )


def deployment(shown: Deployment, key: str = "") -> Document:
    """``deployments add`` and ``deployments show``; with the key if one is given."""
    alive = shown.state in ("preparing", "starting", "running")
    blocks: list[Block] = [
        Facts(
            [
                ("deployment", shown.name),
                ("state", state_cell(shown.state)),
                ("model", f"{shown.model}, version {shown.version}"),
                ("revision", str(shown.revision)),
                ("url", shown.url),
                ("key", key),
                ("target", shown.target),
                ("file", shown.file),
                ("replicas", _replicas(shown)),
                ("requests", f"{shown.requests} ({shown.errors} errors)" if shown.requests else "0"),
                ("latency", _latency(shown)),
                *(_serving(shown.serving, shown) if shown.serving else []),
                ("settings", _told(shown.settings)),
                ("ends if unused", moment(shown.lease_until) if alive else ""),
                ("message", shown.message),
                ("what to do", shown.hint),
            ]
        )
    ]
    if alive and not shown.outlives_server:
        blocks.append(Note("It stops when the server that started it stops.", "busy"))
    if shown.state == "running":
        paths = "url/invocations" if shown.serving is None else "url/v1/chat/completions"
        if shown.serving is not None and shown.serving.engine == "command":
            paths = "paths of the command below url"
        blocks.append(
            Note(
                f"POST {paths} with 'Authorization: Bearer KEY'. Show the key: genops deployments show "
                f"{shown.name} --with-key",
                "dim",
            )
        )
    blocks += _addresses(shown.addresses)
    if shown.rollout is not None:
        blocks += rollout(shown.rollout)
    if len(shown.revisions) > 1:
        blocks.append(_revisions(shown))
    return Document(blocks)


def _addresses(found: Sequence[Address]) -> list[Block]:
    """Return who reaches a deployment from where, and why others do not."""
    columns = [
        Column("from", folds=True, shrinks=True, narrowest=12),
        Column("address"),
        Column("who", folds=True, shrinks=True, narrowest=14),
        Column("sends", folds=True, shrinks=True, narrowest=12),
    ]
    reached = [each for each in found if each.address]
    rows: list[Row] = [[each.reached_from, each.address, each.callers, each.credential] for each in reached]
    first = [f"From {each.reached_from}, first run there: {each.command}" for each in reached if each.command]
    no = [f"Not from {each.reached_from}: {each.problem}" for each in found if each.problem]
    if any(each.kind == "https" for each in reached):
        first.append(_AUTHORITY)
    if any(each.address.startswith("https://HUB/") for each in reached):
        first.append("HUB stands for the name of the hub, as your browser shows it.")
    table = Table(columns, rows, title="Who reaches it")
    return [table, *(Note(each, "dim") for each in (*first, *no))] if rows else []


def _replicas(shown: Deployment) -> str:
    """Return the replicas of the current revision in words, with what keeps one from starting."""
    current = next((each for each in shown.revisions if each.is_current), None)
    if current is None or current.replicas is None or shown.state != "running":
        return ""
    return (
        f"{current.replicas.text}. {current.replicas.why}" if current.replicas.why else current.replicas.text
    )


def _told(settings: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _serving(serving: Serving, shown: Deployment) -> list[tuple[str, str]]:
    """Return the facts of a language model or a command."""
    facts = [("engine", serving.engine), ("adapter", serving.adapter), ("settings", _told(serving.settings))]
    tokens = serving.tokens
    if serving.engine == "command" or tokens is None or shown.state != "running":
        return facts
    return [
        *facts,
        ("tokens", f"{tokens.prompt_tokens:,} in prompts, {tokens.completion_tokens:,} in answers"),
        ("speed", f"{tokens.tokens_per_s:.1f} tokens/s" if tokens.tokens_per_s else ""),
        ("first token", f"{tokens.first_token_ms:.0f} ms" if tokens.first_token_ms is not None else ""),
        ("KV cache in use", f"{tokens.kv_use:.0%}" if tokens.kv_use is not None else ""),
        ("waiting", f"{tokens.waiting:.0f} requests" if tokens.waiting else ""),
    ]


def _revisions(shown: Deployment) -> Table:
    columns = [
        Column("revision", right=True),
        Column("model", shrinks=True, narrowest=12, leaves=1),
        Column("version", right=True),
        Column("state"),
        Column("requests to", right=True),
        Column("requests", right=True),
        Column("errors", right=True),
        Column("p50", right=True, leaves=2),
        Column("warm until"),
    ]
    rows: list[Row] = [
        [
            str(each.number),
            each.model,
            each.version,
            state_cell(each.state),
            f"{each.weight} %",
            str(each.requests),
            str(each.errors),
            "" if each.latency_ms is None else f"{each.latency_ms:.1f} ms",
            moment(each.lease_until) if each.state == "running" and not each.is_current else "",
        ]
        for each in shown.revisions
    ]
    return Table(columns, rows, title="Revisions")


def new_key(deployment: str, made: DeploymentCallerKey, *, hidden: bool) -> Document:
    """``deployments add-key``; a notebook does not show the key."""
    return Document(
        [
            Facts([("deployment", deployment), ("name", made.name), ("key", "" if hidden else made.key)]),
            Note("The key is not shown again. Send it as 'Authorization: Bearer KEY'.", "dim"),
        ]
    )


def caller_keys(deployment: str, found: list[DeploymentCallerKey]) -> Document:
    """``deployments keys``."""
    rows: list[Row] = [
        [
            each.name,
            _limits(each),
            moment(each.created_at),
            moment(each.last_used_at) if each.last_used_at else "-",
        ]
        for each in found
    ]
    empty = f"{deployment} has its own key alone. Add one: genops deployments add-key {deployment} NAME"
    columns = [Column("name"), Column("limit"), Column("added"), Column("last use")]
    return Document([Table(columns, rows, empty=empty)])


def _limits(key: DeploymentCallerKey) -> str:
    found = [f"{key.limit:,} requests a minute"] if key.limit else []
    found += [f"{key.tokens:,} tokens a minute"] if key.tokens else []
    return ", ".join(found) or "none"


def origin(check: DeployCheck) -> Document:
    """Return what a person needs to know before a model of unknown origin is loaded."""
    files: list[Row] = [
        [each.path, size(each.size_bytes), each.sha256[:12]] for each in check.files[:SHOWN_FILES]
    ]
    if len(check.files) > SHOWN_FILES:
        files.append([f"and {len(check.files) - SHOWN_FILES} more", "", ""])
    return Document(
        [
            Note(f"{check.model} version {check.version}: {check.title}", "busy"),
            *(Note(each) for each in (*check.findings, check.reason, check.advice)),
            Facts(
                [
                    ("flavors", ", ".join(check.flavors)),
                    ("loader", check.loader),
                    ("engine", check.engine),
                    ("missing packages", ", ".join(check.missing_requirements)),
                    ("note", check.warning),
                ]
            ),
            *_sources(check),
            Table([Column("file", shrinks=True), Column("size", right=True), Column("sha256")], files),
        ]
    )


def _sources(check: DeployCheck) -> list[Note | Lines]:
    if not check.package_sources:
        return []
    return [
        Note("These lines of the model choose where its packages come from:", "busy"),
        Lines(check.package_sources),
    ]


def log_tail(tail: LogTail | LogLines) -> Document:
    """``deployments logs``."""
    return Document([Lines(tail.lines)] if tail.lines else [Note("The log is empty.", "dim")])
