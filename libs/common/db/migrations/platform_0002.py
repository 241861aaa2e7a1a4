"""Which keys of the secrets file this database was filled with: a fingerprint of each, never a key."""

from alembic import op

revision = "platform_0002"
down_revision = "platform_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE platform.secret_key (
            id text PRIMARY KEY,
            fingerprint bytea NOT NULL,
            identity boolean NOT NULL
        )
    """)
    op.execute("CREATE UNIQUE INDEX secret_key_identity ON platform.secret_key (identity) WHERE identity")


def downgrade() -> None:
    op.execute("DROP TABLE platform.secret_key")
