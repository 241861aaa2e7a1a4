"""Profiles as documents, and the sums that the audit compares."""

from alembic import op

from libs.common.db import offsets

revision = "rules_0001"
down_revision = None
branch_labels = ("rules",)
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA rules")
    op.execute(offsets.TABLE.format(schema="rules"))
    op.execute("""
        CREATE TABLE rules.profile (
            shop text NOT NULL,
            profile uuid NOT NULL,
            version bigint NOT NULL,
            document bytea NOT NULL,
            PRIMARY KEY (shop, profile)
        ) WITH (fillfactor = 70)
    """)
    op.execute("""
        CREATE TABLE rules.counter (
            name text NOT NULL,
            slot integer NOT NULL,
            value bigint NOT NULL,
            PRIMARY KEY (name, slot)
        ) WITH (fillfactor = 50)
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA rules CASCADE")
