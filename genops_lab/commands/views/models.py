"""Registered models as documents."""

from __future__ import annotations

from genops_lab.registry.models import AliasMove, ModelVersion, RegisteredModel
from genops_lab.registry.origins import words

from ..document import SHORT_ID, Cell, Column, Document, Facts, Note, Row, Table, moment, state_cell


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
            words(each.origin) if each.origin and each.origin.kind != "run" else "",
            f"{each.rollout.state} in {each.rollout.deployment}" if each.rollout else "",
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
        Column("from", folds=True, shrinks=True, narrowest=20, leaves=1),
        Column("rollout", shrinks=True, narrowest=12, leaves=2),
    ]
    return Document(
        [
            Facts(
                [
                    ("model", shown.name),
                    ("description", shown.description),
                    ("tags", _tags(shown.tags)),
                ]
            ),
            Table(columns, rows, empty="This model has no versions."),
        ]
    )


def _tags(tags: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in tags.items())


def history(found: list[AliasMove]) -> Document:
    """``models alias-history``."""
    rows: list[Row] = [[moment(each.at), each.alias, _change(each), *_who_and_why(each)] for each in found]
    columns = [
        Column("when"),
        Column("alias", shrinks=True),
        Column("change"),
        Column("who", shrinks=True),
        Column("why", folds=True, shrinks=True, narrowest=20),
    ]
    empty = "No alias of this model was moved. Set one: genops models alias MODEL ALIAS VERSION --reason TEXT"
    return Document([Table(columns, rows, empty=empty)])


def _change(move: AliasMove) -> str:
    earlier = "?" if move.from_version is None else move.from_version or "none"
    return f"{earlier} → {move.to_version or 'none'}"


def _who_and_why(move: AliasMove) -> tuple[str | Cell, str | Cell]:
    if move.kind == "lab":
        evidence = [f"{name}={value}" for name, value in move.evidence.items()]
        return move.who, " ".join([*move.reason.split(), *evidence])
    if move.kind == "outside":
        return Cell("outside", "busy"), Cell(f"between {moment(move.since)} and {moment(move.at)}", "dim")
    return Cell("unknown", "dim"), Cell("the alias existed when GenOps Lab first looked", "dim")


def model_version(shown: ModelVersion) -> Document:
    """``models register``."""
    version = f"{shown.name} --version {shown.version}"
    # Files without an MLmodel have no flavor, and MLflow cannot load them.
    following = (
        f"Deploy it: genops deploy {version}"
        if shown.flavors
        else f"Show its files: genops models show {version}"
    )
    return Document(
        [
            Facts(
                [
                    ("model", shown.name),
                    ("version", shown.version),
                    ("aliases", ", ".join(shown.aliases)),
                    ("flavors", ", ".join(shown.flavors)),
                    ("run", shown.run_id),
                    ("from", words(shown.origin) if shown.origin else ""),
                    ("base model", shown.base_model),
                    ("description", shown.description),
                    ("tags", _tags(shown.tags)),
                    ("status", state_cell(shown.status)),
                ]
            ),
            Note(following, "dim"),
        ]
    )
