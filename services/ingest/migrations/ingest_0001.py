"""Who is who, what came already, and what waits while Kafka is away. No address is here in readable form."""

from alembic import op

from libs.common.db import offsets

revision = "ingest_0001"
down_revision = None
branch_labels = ("ingest",)
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA ingest")
    op.execute(offsets.TABLE.format(schema="ingest"))
    op.execute("""
        CREATE TABLE ingest.identifier (
            shop text NOT NULL,
            digest bytea NOT NULL,
            kind smallint NOT NULL,
            profile uuid NOT NULL,
            told boolean NOT NULL DEFAULT false,
            PRIMARY KEY (shop, digest)
        ) WITH (fillfactor = 90)
    """)
    op.execute("CREATE INDEX identifier_profile ON ingest.identifier (profile, kind)")
    op.execute("""
        CREATE TABLE ingest.merged (
            shop text NOT NULL,
            profile uuid NOT NULL,
            into_profile uuid NOT NULL,
            seq bigint GENERATED ALWAYS AS IDENTITY,
            at timestamptz NOT NULL,
            traceparent text,
            published boolean NOT NULL DEFAULT false,
            PRIMARY KEY (shop, profile)
        )
    """)
    op.execute("CREATE INDEX merged_into ON ingest.merged (into_profile)")
    op.execute("CREATE INDEX merged_unpublished ON ingest.merged (seq) WHERE NOT published")
    op.execute("""
        CREATE TABLE ingest.seen (
            week date NOT NULL,
            event uuid NOT NULL,
            PRIMARY KEY (event, week)
        ) PARTITION BY LIST (week)
    """)
    op.execute("""
        CREATE TABLE ingest.spill (
            seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            shop text NOT NULL,
            sealed bytea NOT NULL
        )
    """)
    op.execute("CREATE INDEX spill_shop ON ingest.spill (shop)")


def downgrade() -> None:
    op.execute("DROP SCHEMA ingest CASCADE")
