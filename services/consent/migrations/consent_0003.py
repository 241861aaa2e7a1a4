"""Places under frequency caps: which messages were let through, and when for the last time (ADR 0022)."""

from alembic import op

revision = "consent_0003"
down_revision = "consent_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE consent.place (
            shop text NOT NULL,
            message uuid NOT NULL,
            profile uuid NOT NULL,
            channel text NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (shop, message)
        ) WITH (autovacuum_vacuum_scale_factor = 0.05)
    """)
    op.execute("CREATE INDEX place_profile ON consent.place (shop, profile, at)")
    op.execute("CREATE INDEX place_at ON consent.place (at)")


def downgrade() -> None:
    op.execute("DROP TABLE consent.place")
