"""Profiles, contact points, what stands, the register with its chain, decisions, suppressions, the outbox."""

from alembic import op

from libs.common.db import offsets

revision = "consent_0001"
down_revision = None
branch_labels = ("consent",)
depends_on = None

PROFILE = """
CREATE TABLE consent.profile (
    shop text NOT NULL,
    profile uuid NOT NULL,
    into_profile uuid,
    PRIMARY KEY (shop, profile)
) WITH (fillfactor = 80)
"""

CONTACT = """
CREATE TABLE consent.contact (
    shop text NOT NULL,
    profile uuid NOT NULL,
    channel text NOT NULL,
    digest bytea NOT NULL,
    address bytea NOT NULL,
    at timestamptz NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (shop, profile, channel, digest)
)
"""

STATE = """
CREATE TABLE consent.state (
    shop text NOT NULL,
    profile uuid NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    status text NOT NULL CHECK (status IN ('granted', 'requested', 'refused', 'withdrawn')),
    at timestamptz NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (shop, profile, channel, purpose)
)
"""

CHAIN = "CREATE TABLE consent.chain (shop text PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL)"

REGISTER = """
CREATE TABLE consent.register (
    shop text NOT NULL,
    seq bigint NOT NULL,
    record uuid NOT NULL,
    profile uuid NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    status text NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    who text NOT NULL,
    source text NOT NULL,
    clause text,
    text text,
    how text,
    sealed bytea,
    prev bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (shop, seq),
    UNIQUE (shop, record)
)
"""

APPEND_ONLY = """
CREATE FUNCTION consent.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'consent.register is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""

EVIDENCE = """
CREATE TABLE consent.evidence (
    shop text NOT NULL,
    seq bigint NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (shop, seq)
)
"""

ERASURE = """
CREATE TABLE consent.erasure (
    shop text NOT NULL,
    profile uuid NOT NULL,
    at timestamptz NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (shop, profile)
)
"""

DECISION = """
CREATE TABLE consent.decision (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message uuid NOT NULL,
    shop text NOT NULL,
    profile uuid NOT NULL,
    purpose text NOT NULL,
    scenario text,
    decision text NOT NULL,
    reason text NOT NULL,
    channel text,
    digest bytea,
    seq bigint,
    hash bytea,
    decided_at timestamptz NOT NULL
)
"""

SUPPRESSION = """
CREATE TABLE consent.suppression (
    shop text NOT NULL,
    channel text NOT NULL,
    digest bytea NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (shop, channel, digest)
)
"""

OUTBOX = """
CREATE TABLE consent.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop text NOT NULL,
    profile uuid NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    status text NOT NULL,
    because text NOT NULL,
    at timestamptz NOT NULL,
    seq bigint NOT NULL,
    traceparent text
)
"""

INDEXES = (
    "CREATE INDEX profile_into ON consent.profile (shop, into_profile) WHERE into_profile IS NOT NULL",
    "CREATE INDEX register_profile ON consent.register (shop, profile)",
    "CREATE INDEX decision_message ON consent.decision (message)",
    "CREATE INDEX decision_profile ON consent.decision (shop, profile)",
)

TRIGGERS = (
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON consent.register "
    "FOR EACH ROW EXECUTE FUNCTION consent.append_only()",
    "CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON consent.register "
    "FOR EACH STATEMENT EXECUTE FUNCTION consent.append_only()",
)


def upgrade() -> None:
    op.execute("CREATE SCHEMA consent")
    op.execute(offsets.TABLE.format(schema="consent"))
    for table in (PROFILE, CONTACT, STATE, CHAIN, REGISTER, EVIDENCE, ERASURE, DECISION, SUPPRESSION, OUTBOX):
        op.execute(table)
    op.execute(APPEND_ONLY)
    for statement in (*INDEXES, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP SCHEMA consent CASCADE")
