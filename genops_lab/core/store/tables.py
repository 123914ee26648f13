"""The tables of this user's own store: what only this machine and this user can use (processes, paths, targets).

A change here needs a migration in ``migrations/versions``; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()


def counters(metadata: MetaData, prefix: str = "", *, shared: bool = False) -> None:
    """Declare what each store has: the number of changes of each kind, and the idempotency keys; in a shared one a key
    is its owner's."""
    whose = [Column("owner", Text, primary_key=True), Column("team", Text, nullable=False)] if shared else []
    Table(
        f"{prefix}revisions",
        metadata,
        Column("kind", String(64), primary_key=True),
        Column("revision", BigInteger, nullable=False),
    )
    Table(
        f"{prefix}idempotency",
        metadata,
        *whose,
        Column("key", String(128), primary_key=True),
        Column("operation", String(64), nullable=False),
        Column("subject", String(512), nullable=False),
        Column("created_at", Float, nullable=False),
    )


counters(metadata)
revisions, idempotency = metadata.tables["revisions"], metadata.tables["idempotency"]

tracked_runs = Table(
    "tracked_runs",
    metadata,
    Column("run_key", String(64), primary_key=True),
    Column("run_id", String(64), nullable=True, index=True),
    Column("experiment_id", String(64), nullable=True),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("acked_seq", BigInteger, nullable=False),
    Column("pid", Integer, nullable=True),
    Column("pid_created", Float, nullable=True),
    Column("kernel_id", String(64), nullable=True),
    Column("notebook", Text, nullable=True),
    Column("started_at", Float, nullable=False),
    Column("place", String(64), nullable=True),
)

model_hashes = Table(
    "model_hashes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("recorded_at", Float, nullable=False),
)

profiles = Table(
    "profiles",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("run_id", String(64), nullable=True),
    Column("title", Text, nullable=False),
    Column("notebook", Text, nullable=True),
    Column("created_at", Float, nullable=False),
    Column("trace_path", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("summary", Text, nullable=True),
    Index("profiles_created", "created_at"),
)

host_traces = Table(
    "host_traces",
    metadata,
    Column("profile_id", String(64), primary_key=True),
    Column("target", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("deleted_at", Float, nullable=True),  # its profile's end; the trace is still to be removed
    Index("host_traces_target", "target"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("model", Text, nullable=False),
    Column("version", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("target", Text, nullable=False, server_default=""),  # as people call it; empty: this machine
    Column("spec", Text, nullable=False, server_default="{}"),  # JSON: deployments.record.Wanted
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("generation", BigInteger, nullable=False, server_default="0"),
)

targets = Table(
    "targets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("host", Text, nullable=False),
    Column("options", Text, nullable=False),  # JSON: the other fields of a links.route.Route
    Column("price_per_hour", Float, nullable=True),
    Column("secrets", Text, nullable=False),  # JSON: names of variables, never their values
    Column("policy", Text, nullable=False),  # JSON: targets.models.TargetPolicy
    Column("locked", Integer, nullable=False),  # 1: the administrator's
    Column("created_at", Float, nullable=False),
    Column("position", Integer, nullable=False),
)

remote_kernels = Table(
    "remote_kernels",
    metadata,
    Column("kernel_id", String(64), primary_key=True),
    Column("target", String(64), nullable=False),
    Column("kernel_name", Text, nullable=False),
    Column("session_id", String(64), nullable=True),
    Column("path", Text, nullable=True),
    Column("type", String(32), nullable=True),
    Column("documented_seq", BigInteger, nullable=False),
    Column("file_hash", String(64), nullable=True),
    Column("incarnation", String(64), nullable=True),
    Column("owner", String(64), nullable=True),
    Column("started_at", Float, nullable=False),
    Column("chosen", Text, nullable=True),  # JSON: variables that say which GPUs it sees
    Index("remote_kernels_target", "target"),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("plan", Text, nullable=False),  # JSON: sweeps.ledger.Plan, which holds no code
    Column("message", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("summary", Text, nullable=False),  # JSON: list of sweeps.models.MetricSummary
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float, nullable=True),
    Index("sweeps_created", "created_at"),
)

sweep_trials = Table(
    "sweep_trials",
    metadata,
    Column("sweep_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("trial", Text, nullable=False),  # JSON: sweeps.models.Trial
)

#: What outlives its process: core.work carries it out, one process at a time.
work = Table(
    "work",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("plan", Text, nullable=False),  # JSON, its kind's; empty once it has ended
    Column("state", String(16), nullable=False),
    Column("step", String(64), nullable=False),  # the one to run next
    Column("data", Text, nullable=False),  # JSON: what the steps before found
    Column("holder", Text, nullable=False),  # the process that carries it out; empty for none
    Column("token", BigInteger, nullable=False),  # grows each time it is taken
    Column(
        "renewals", BigInteger, nullable=False
    ),  # grows with each write: who else looks sees that it is held
    Column("cancel", Integer, nullable=False),
    Column("progress", Float, nullable=True),
    Column("message", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("lines", Text, nullable=False),  # JSON: the end of its log
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float, nullable=True),
    Index("work_state", "state"),
)

#: Changes of the shared store's tables that have not been written there yet, in their order.
outbox = Table(
    "outbox",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("table_name", String(64), nullable=False),
    Column("action", String(8), nullable=False),  # put or remove
    Column("content", Text, nullable=False),  # JSON: the columns; of a row to remove, its primary key
    Column("posted_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

#: Stores of before that held local tables too, and what has become of these: copied or later.
former_stores = Table(
    "former_stores",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of its URL without the password
    Column("state", String(8), nullable=False),
)
