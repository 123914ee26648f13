"""Fetched models as documents."""

from __future__ import annotations

from genops_lab.deployments.models import FetchedModels

from ..document import Column, Document, Row, Table, moment, size


def fetched_models(found: FetchedModels) -> Document:
    """``deployments fetched``."""
    rows: list[Row] = [
        [each.model, each.revision[:12], size(each.size_bytes), ", ".join(each.used_by), moment(each.at)]
        for each in found.models
    ]
    columns = [
        Column("model", shrinks=True, narrowest=16),
        Column("revision"),
        Column("size", right=True),
        Column("used by", shrinks=True, narrowest=8),
        Column("listed", leaves=1),
    ]
    title = f"{found.folder} ({size(found.size_bytes)})" if rows else ""
    empty = "No model of the Hugging Face hub was fetched. Deploy one: genops deploy hf:ORG/NAME@REVISION"
    return Document([Table(columns, rows, title=title, empty=empty)])
