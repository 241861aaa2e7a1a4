"""What came in and went no further, by shop: duplicates known at the door, records of the inbox topic."""

from alembic import op

revision = "ingest_0002"
down_revision = "ingest_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.tally (
            shop text NOT NULL,
            name text NOT NULL,
            slot integer NOT NULL,
            value bigint NOT NULL,
            PRIMARY KEY (shop, name, slot)
        ) WITH (fillfactor = 50)
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ingest.tally")
