"""Calls of web addresses wait in a queue of their own, so that a slow one holds up no message."""

from alembic import op

revision = "dispatch_0002"
down_revision = "dispatch_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX dispatch.message_pending")
    op.execute("""
        CREATE INDEX message_pending ON dispatch.message (not_before)
        WHERE state = 'pending' AND channels <> '{webhook}'
    """)
    op.execute("""
        CREATE INDEX message_calls ON dispatch.message (not_before)
        WHERE state = 'pending' AND channels = '{webhook}'
    """)


def downgrade() -> None:
    op.execute("DROP INDEX dispatch.message_calls")
    op.execute("DROP INDEX dispatch.message_pending")
    op.execute("CREATE INDEX message_pending ON dispatch.message (not_before) WHERE state = 'pending'")
