"""Archiving ends what runs, for good: up to which version of a scenario all is over."""

from alembic import op

revision = "console_0003"
down_revision = "console_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE console.scenario ADD COLUMN over integer NOT NULL DEFAULT 0")
    op.execute("UPDATE console.scenario SET over = version WHERE kind = 'scenario' AND state = 'archived'")


def downgrade() -> None:
    op.execute("ALTER TABLE console.scenario DROP COLUMN over")
