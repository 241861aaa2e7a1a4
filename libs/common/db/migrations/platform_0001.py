"""API keys: what a caller from outside may do, and for which shop."""

from alembic import op

revision = "platform_0001"
down_revision = None
branch_labels = ("platform",)
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE platform.api_key (
            id uuid PRIMARY KEY,
            shop text NOT NULL,
            scopes text[] NOT NULL,
            digest bytea NOT NULL UNIQUE,
            created_at timestamptz NOT NULL,
            revoked_at timestamptz
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE platform.api_key")
