"""Registered models as documents."""

from __future__ import annotations

from genops_lab.registry.models import ModelVersion, RegisteredModel

from ..document import SHORT_ID, Column, Document, Facts, Note, Row, Table, moment, state_cell


def models(found: list[RegisteredModel]) -> Document:
    """``models list``."""
    rows: list[Row] = []
    for model in found:
        newest = model.versions[0].version if model.versions else ""
        aliases = [f"{alias} → {each.version}" for each in model.versions for alias in each.aliases]
        rows.append([model.name, newest, _count(model), ", ".join(aliases), moment(model.updated_at)])
    columns = [
        Column("name", shrinks=True),
        Column("newest", right=True),
        Column("versions", right=True),
        Column("aliases", shrinks=True),
        Column("updated"),
    ]
    empty = "There are no registered models. Register one: genops models register MODEL --run latest"
    return Document([Table(columns, rows, empty=empty)])


def _count(model: RegisteredModel) -> str:
    return f"more than {len(model.versions)}" if model.older else str(len(model.versions))


def model(shown: RegisteredModel) -> Document:
    """``models show``."""
    rows: list[Row] = [
        [
            each.version,
            ", ".join(each.aliases),
            state_cell(each.status),
            ", ".join(each.flavors),
            each.run_id[:SHORT_ID],
            moment(each.created_at),
        ]
        for each in shown.versions
    ]
    columns = [
        Column("version", right=True),
        Column("aliases"),
        Column("status"),
        Column("flavors", shrinks=True),
        Column("run"),
        Column("created"),
    ]
    return Document(
        [
            Facts([("model", shown.name), ("description", shown.description)]),
            Table(columns, rows, empty="This model has no versions."),
        ]
    )


def model_version(shown: ModelVersion) -> Document:
    """``models register``."""
    return Document(
        [
            Facts(
                [
                    ("model", shown.name),
                    ("version", shown.version),
                    ("aliases", ", ".join(shown.aliases)),
                    ("flavors", ", ".join(shown.flavors)),
                    ("run", shown.run_id),
                    ("status", state_cell(shown.status)),
                ]
            ),
            Note(f"Deploy it: genops deploy {shown.name} --version {shown.version}", "dim"),
        ]
    )
