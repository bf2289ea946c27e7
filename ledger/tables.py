"""The durable tables: shapes only; opens nothing.

`migrations/` creates them (with the triggers that make them append-only); `store` fills them.
The names of the table `events` and of its columns are public: auditors and BI tools read them.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

# Text that is compared byte by byte on every database, so that a range of names is a range of rows.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

events = sa.Table(
    "events",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True,
              autoincrement=False),
    sa.Column("id", Name, nullable=False, unique=True),
    sa.Column("stream", Name, nullable=False),
    sa.Column("stream_version", sa.Integer, nullable=False),
    sa.Column("type", Name, nullable=False),
    sa.Column("type_version", sa.Integer, nullable=False),
    sa.Column("recorded_at", Name, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("stream", "stream_version", name="events_stream_version"),
)

# The only table where a row may be deleted: salt and value of one personal field.
disclosures = sa.Table(
    "disclosures",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True,
              autoincrement=False),
    sa.Column("digest", Name, primary_key=True),
    sa.Column("disclosure", sa.Text, nullable=False),
)

# One row: what the log commits to after its last event (RFC 6962).
tree_head = sa.Table(
    "tree_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("recorded_at", Name, nullable=False),
    sa.CheckConstraint("id = 1", name="tree_head_one_row"),
)

# Last position that each projection has applied.
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("projection", Name, primary_key=True),
    sa.Column("projection_version", sa.Integer, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("rebuilt_at", Name, nullable=False),
    sa.Column("stalled_at", sa.BigInteger),
    sa.Column("stall_cause", sa.Text),
)

# What every rebuild and catch-up did; rows are added only.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("projection", Name, nullable=False),
    sa.Column("how", Name, nullable=False),
    sa.Column("started_at", Name, nullable=False),
    sa.Column("ended_at", Name, nullable=False),
    sa.Column("outcome", Name, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("drift", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text),
    sa.Column("digest", Name),
    sa.Column("folded", sa.BigInteger),
    sa.Index("runs_projection", "projection", "id"),
)

# What was folded, piece by piece of the log: digests of what the fold was of and of what it gave.
folds = sa.Table(
    "folds",
    metadata,
    sa.Column("until", Name, primary_key=True),
    sa.Column("projection", Name, primary_key=True),
    sa.Column("digest", Name, nullable=False),
    sa.Column("sums", sa.Text, nullable=False),
    sqlite_with_rowid=False,  # it has no more than its key and two texts
)

# What became of every slot of every schedule: run, missed or skipped.
scheduled_runs = sa.Table(
    "scheduled_runs",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("name", Name, nullable=False),
    sa.Column("slot", Name, nullable=False),
    sa.Column("how", Name, nullable=False),
    sa.Column("slots", sa.BigInteger, nullable=False),
    sa.Column("started_at", Name),
    sa.Column("ended_at", Name),
    sa.Column("outcome", Name, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("detail", sa.Text),
    sa.UniqueConstraint("name", "slot", name="scheduled_runs_slot"),
)
