"""Write endpoints and their tests for the terminal."""

from __future__ import annotations

from genops_lab.commands.document import Cell, Column, Document, Facts, Note, Table, moment
from genops_lab.genai.endpoints.limits import Limits, Price
from genops_lab.genai.endpoints.models import EndpointTest, ModelEndpoint, ModelEndpoints
from genops_lab.runtime.money import money_text

from .check_steps import steps

STATES = {
    "untested": "not tested",
    "answers": "answers",
    "changed": "another model answers",
    "key_refused": "refuses the key",
    "refused": "refuses the call",
    "away": "does not answer",
}
KINDS = {"own": "yours", "given": "administrator", "deployment": "deployment", "gateway": "MLflow gateway"}


def listed(found: ModelEndpoints) -> Document:
    """Return the list."""
    columns = [
        Column("name"),
        Column("from"),
        Column("kind", leaves=2),
        Column("model"),
        Column("state"),
        Column("price"),
        Column("limits", leaves=1),
    ]
    rows: list[list[str | Cell]] = [
        [
            each.name,
            KINDS[each.kind],
            each.task,
            each.model,
            STATES[each.test.state],
            price(each.price),
            limits(each.limits, _currency(each)),
        ]
        for each in found.endpoints
    ]
    empty = "There are no endpoints. Add one: genops endpoints add NAME --url URL --model MODEL"
    return Document([Table(columns, rows, empty=empty), *(Note(each) for each in found.notes)])


def shown(found: ModelEndpoint) -> Document:
    """Return all that is known of an endpoint, without its key."""
    facts = {
        "from": KINDS[found.kind], "kind": found.task, "URL": found.url, "model": found.model,
        "key": f"secret {found.key_secret}" if found.key_secret else "none",
        "price": price(found.price), "limits": limits(found.limits, _currency(found)),
        "timeout": f"{found.timeout_s:g} s",
    }  # fmt: skip
    return Document([Facts(list(facts.items())), *tested(found.name, found.test).blocks])


def tested(name: str, found: EndpointTest) -> Document:
    """Return what a test found."""
    if found.state == "untested":
        return Document([Note(f"The endpoint was not tested: genops endpoints test {name}")])
    state = (
        f"{name} {STATES[found.state]}" if found.state != "changed" else f"Another model answers at {name}"
    )
    lines = [f"{state}: {found.message}" if found.message else f"{state}."]
    if found.probe:
        told = f"The model {found.probe.model or '(no name)'} answered ({moment(found.probe.at)})"
        fingerprint = f", fingerprint {found.probe.fingerprint}" if found.probe.fingerprint else ""
        lines.append(f"{told}{fingerprint}; median {found.probe.latency_ms:.0f} ms.")
        if not found.probe.usage_known:
            lines.append(
                "It does not count tokens: costs are not known, and budgets count what was reserved."
            )
        if found.probe.without:
            lines.append(f"It refuses the settings: {', '.join(found.probe.without)}.")
    lines += found.differences
    if found.state == "changed":
        lines.append(f"Keep the new answers to compare with: genops endpoints test {name} --accept")
    return Document([*(steps(found.steps) if found.steps else []), *(Note(each) for each in lines)])


def _currency(found: ModelEndpoint) -> str:
    return found.price.currency if found.price else "USD"


def price(found: Price | None) -> str:
    """Return the prices of a million tokens in words."""
    if found is None:
        return "not known"
    date = f" ({', '.join(each for each in (found.source, found.date) if each)})" if found.date else ""
    return f"{found.input:g} in, {found.output:g} out {found.currency}/M{date}"


def limits(found: Limits, currency: str = "USD") -> str:
    """Return the limits in words."""
    parts = [f"{found.at_once} at once"]
    if found.requests_per_minute:
        parts.append(f"{found.requests_per_minute:g} calls/min")
    if found.tokens_per_minute:
        parts.append(f"{found.tokens_per_minute:g} tokens/min")
    if found.tokens:
        parts.append(f"{found.tokens:,} tokens/evaluation")
    if found.money:
        parts.append(f"{money_text(found.money, currency, 'given')}/evaluation")
    return ", ".join(parts)
