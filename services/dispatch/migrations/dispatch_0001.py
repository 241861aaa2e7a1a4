"""Messages with their ends; what is needed to send one, gone with its end; clicks and opens on their way to Kafka."""

from alembic import op

from libs.common.db import offsets

revision = "dispatch_0001"
down_revision = None
branch_labels = ("dispatch",)
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA dispatch")
    op.execute(offsets.TABLE.format(schema="dispatch"))
    op.execute("CREATE SEQUENCE dispatch.worker AS integer CYCLE")
    op.execute("""
        CREATE TABLE dispatch.message (
            message uuid PRIMARY KEY,
            shop text NOT NULL,
            profile uuid NOT NULL,
            scenario text NOT NULL,
            version integer NOT NULL,
            enrolment uuid NOT NULL,
            path text NOT NULL,
            name text NOT NULL,
            channels text[] NOT NULL,
            requested_at timestamptz NOT NULL,
            expires_at timestamptz,
            traceparent text,
            state text NOT NULL DEFAULT 'pending' CHECK (state IN (
                'pending', 'claimed', 'sending', 'sent', 'suppressed', 'failed', 'expired', 'unknown')),
            worker integer,
            not_before timestamptz NOT NULL,
            tries integer NOT NULL DEFAULT 0,
            channel text,
            gateway text,
            reason text,
            told boolean NOT NULL DEFAULT true,
            ended_at timestamptz,
            delivered_at timestamptz,
            opened_at timestamptz,
            clicked_at timestamptz,
            bounced_at timestamptz
        ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05)
    """)
    op.execute("CREATE INDEX message_pending ON dispatch.message (not_before) WHERE state = 'pending'")
    op.execute("CREATE INDEX message_held ON dispatch.message (worker) WHERE state IN ('claimed', 'sending')")
    op.execute("CREATE INDEX message_untold ON dispatch.message (message) WHERE NOT told")
    op.execute("CREATE INDEX message_shop ON dispatch.message (shop, requested_at, message)")
    op.execute("CREATE INDEX message_profile ON dispatch.message (profile, requested_at)")
    op.execute("""
        CREATE TABLE dispatch.request (
            message uuid PRIMARY KEY,
            body bytea NOT NULL
        ) WITH (autovacuum_vacuum_scale_factor = 0.02)
    """)
    op.execute("""
        CREATE TABLE dispatch.touch (
            id uuid PRIMARY KEY,
            message uuid NOT NULL,
            kind text NOT NULL CHECK (kind IN ('clicked', 'opened')),
            url text,
            at timestamptz NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA dispatch CASCADE")
