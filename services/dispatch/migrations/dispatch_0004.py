"""Of a customer's messages that are due the most important goes out first, and only one at a time (ADR 0022)."""

from alembic import op

revision = "dispatch_0004"
down_revision = "dispatch_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE dispatch.message ADD COLUMN priority integer NOT NULL DEFAULT 50")
    op.execute("""
        CREATE INDEX message_customer ON dispatch.message (shop, profile, state, priority DESC, seq)
        WHERE state IN ('pending', 'claimed', 'sending') AND channels <> '{webhook}'
    """)


def downgrade() -> None:
    op.execute("DROP INDEX dispatch.message_customer")
    op.execute("ALTER TABLE dispatch.message DROP COLUMN priority")
