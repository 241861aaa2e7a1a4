"""Pending steps, partitioned by due time (partitions are made when a step needs them), and how many there are."""

from alembic import op

from libs.common.db import offsets

revision = "scheduler_0001"
down_revision = None
branch_labels = ("scheduler",)
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA scheduler")
    op.execute(offsets.TABLE.format(schema="scheduler"))
    op.execute("""
        CREATE TABLE scheduler.step (
            due_at timestamptz NOT NULL,
            step uuid NOT NULL,
            profile uuid NOT NULL,
            enrolment uuid NOT NULL,
            shop text NOT NULL,
            scenario text NOT NULL,
            traceparent text,
            PRIMARY KEY (due_at, step)
        ) PARTITION BY RANGE (due_at)
    """)
    op.execute("""
        CREATE TABLE scheduler.pending (
            slot integer PRIMARY KEY,
            steps bigint NOT NULL
        ) WITH (fillfactor = 50)
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA scheduler CASCADE")
