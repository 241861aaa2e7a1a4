"""Ended enrolments beyond those in the documents, and how far a shop's profiles were told of new scenarios."""

from alembic import op

revision = "rules_0002"
down_revision = "rules_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE rules.ended (
            shop text NOT NULL,
            profile uuid NOT NULL,
            enrolment uuid NOT NULL,
            ended_at timestamptz NOT NULL,
            document bytea NOT NULL,
            PRIMARY KEY (shop, profile, enrolment)
        )
    """)
    op.execute("CREATE INDEX ended_at ON rules.ended (ended_at)")
    op.execute("""
        CREATE TABLE rules.sweep (
            shop text PRIMARY KEY,
            fingerprint text NOT NULL,
            read_to bigint NOT NULL,
            position uuid,
            done boolean NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE rules.sweep")
    op.execute("DROP TABLE rules.ended")
