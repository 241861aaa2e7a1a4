"""A message that has not gone out can be taken back (ADR 0024)."""

from alembic import op

revision = "dispatch_0005"
down_revision = "dispatch_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE dispatch.message ADD COLUMN cancelled text")


def downgrade() -> None:
    op.execute("ALTER TABLE dispatch.message DROP COLUMN cancelled")
