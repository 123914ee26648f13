"""Define the tables of the shared store, which a team may read.

Each row has its owner and team, except the numbers of changes. A change needs a migration in
``shared_migrations/versions``; a test compares the two. Names begin with ``genops_``, because an MLflow or an older
GenOps Lab may have tables in the same database.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

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

#: The history of aliases: an event a row. ``registry`` is a digest of the registry's address and the model's name,
#: ``made`` the time in ms at which MLflow made the model, so that a deleted model's name begins a new history.
alias_moves = Table(
    f"{PREFIX}alias_moves",
    metadata,
    Column("registry", String(64), primary_key=True),
    Column("made", BigInteger, primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("from_version", Text, nullable=True),  # empty: no version; null: unknown
    Column("to_version", Text, nullable=False),  # empty: no version
    Column("kind", String(16), nullable=False),  # lab, outside or found
    Column("at", Float, nullable=False),  # seconds since 1970
    Column("since", Float, nullable=True),  # begin of the time window of a move outside
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON
    Column("state", String(16), nullable=False),  # moving or moved
    Column("tagged", Integer, nullable=False),  # 1: MLflow has its tag; 0: to be written; -1: gets none
    Column("holder", Text, nullable=False),  # the process that carries the move out; empty for none
    Index("genops_alias_moves_at", "registry", "made", "at", "id"),
)

#: What each alias last named, which arbitrates between movers. The row with an empty alias says when a Lab last saw
#: the model.
aliases = Table(
    f"{PREFIX}aliases",
    metadata,
    Column("registry", String(64), primary_key=True),
    Column("made", BigInteger, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("version", Text, nullable=False),  # empty: no version
    Column("last", String(64), nullable=False),  # id of the event that explains it
    Column("moving", String(64), nullable=False),  # id of the move under way; empty for none
    Column("seen_at", Float, nullable=False),
)

#: Versions that a data set has judged. ``registry`` is a digest of MLflow's address.
judgings = Table(
    f"{PREFIX}judgings",
    metadata,
    Column("registry", String(64), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("at", Float, nullable=False),  # seconds since 1970
)

#: Looks at the plan of a gate file, numbered by version, plan, data and other version. ``registry`` is a digest of
#: MLflow's address and the model's name, ``made`` the time in ms at which MLflow made the version.
looks = Table(
    f"{PREFIX}looks",
    metadata,
    Column("registry", String(64), primary_key=True),
    Column("made", BigInteger, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("plan", Text, primary_key=True),
    Column("data", Text, primary_key=True),
    Column("against", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("mine", Text, nullable=False),  # fingerprint of the predictions
    Column("theirs", Text, nullable=False),  # of the other version's; empty for none yet
    Column("at", BigInteger, nullable=False),  # seconds since 1970
)
