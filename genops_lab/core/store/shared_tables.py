"""Define the tables of the shared store, which a team may read.

Each row has its owner and team, except the numbers of changes. A change needs a migration in
``shared_migrations/versions``; a test compares the two. Names begin with ``genops_``, because an MLflow or an older
GenOps Lab may have tables in the same database.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, MetaData, String, Table, Text

from .tables import counters

PREFIX = "genops_"

metadata = MetaData()
counters(metadata, PREFIX, shared=True)

audit = Table(
    f"{PREFIX}audit",
    metadata,
    Column("id", String(36), primary_key=True),  # a UUID, so that writing it twice adds it once
    Column("owner", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("at", Float, nullable=False),  # seconds since 1970
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),  # read, write or execute
    Column("resource", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # ok, or an error's code
    Column("detail", Text, nullable=False),  # JSON, without secrets
    Index("genops_audit_at", "at"),
)

deployment_specs = Table(
    f"{PREFIX}deployment_specs",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("spec", Text, nullable=False),  # JSON: further parts of the request
)
