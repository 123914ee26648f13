"""Define the tables of this user's local store: processes, paths, targets and other data of this machine and user.

A change needs a migration in ``migrations/versions``; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()


def counters(metadata: MetaData, prefix: str = "", *, shared: bool = False) -> None:
    """Declare the tables of each store: the number of changes by kind, and the idempotency keys.

    In a shared store a key belongs to its owner.
    """
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
    Column(
        "deleted_at", Float, nullable=True
    ),  # when its profile was deleted; the trace is still to be deleted
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
    Column("target", Text, nullable=False, server_default=""),  # the name on the screen; empty: this machine
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
    Column("plan", Text, nullable=False),  # JSON: sweeps.ledger.Plan, without code
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

#: Durable work: core.work runs it, one process at a time.
work = Table(
    "work",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("plan", Text, nullable=False),  # JSON of its kind; empty after the end
    Column("state", String(16), nullable=False),
    Column("step", String(64), nullable=False),  # the next step
    Column("data", Text, nullable=False),  # JSON: the result of the steps before
    Column("holder", Text, nullable=False),  # the process that runs it; empty for none
    Column("token", BigInteger, nullable=False),  # grows with each takeover
    Column(
        "renewals", BigInteger, nullable=False
    ),  # grows with each write: other processes see that it is running
    Column("cancel", Integer, nullable=False),
    Column("progress", Float, nullable=True),
    Column("message", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("lines", Text, nullable=False),  # JSON: the end of the log
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float, nullable=True),
    Index("work_state", "state"),
)

#: Changes that have not been written to the shared store yet, in order.
outbox = Table(
    "outbox",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("table_name", String(64), nullable=False),
    Column("action", String(8), nullable=False),  # put or remove
    Column("content", Text, nullable=False),  # JSON: the columns, or the primary key of a row to remove
    Column("posted_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

#: Stores of older versions that have local tables too, and the state of their copy: copied or later.
former_stores = Table(
    "former_stores",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of its URL without the password
    Column("state", String(8), nullable=False),
)
