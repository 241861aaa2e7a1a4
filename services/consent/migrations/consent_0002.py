"""The word that does not stand, but may when others come late (`State.beside`).

The columns may be empty, so code from before works beside the new: what it forgets of them is what it did not know.
"""

from alembic import op

revision = "consent_0002"
down_revision = "consent_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE consent.state
            ADD COLUMN beside_status text,
            ADD COLUMN beside_at timestamptz,
            ADD COLUMN beside_seq bigint,
            ADD COLUMN beside_hash bytea
    """)


def downgrade() -> None:
    op.execute("""
        ALTER TABLE consent.state
            DROP COLUMN beside_status, DROP COLUMN beside_at, DROP COLUMN beside_seq, DROP COLUMN beside_hash
    """)
