"""Segments and the rules of RFM beside the scenarios, in the same way: versions never change (I8), and Kafka is told of
all of them.
"""

from alembic import op

revision = "console_0002"
down_revision = "console_0001"
branch_labels = None
depends_on = None

KEEP = """
    CREATE OR REPLACE FUNCTION console.keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF (OLD.shop, {kind} OLD.id, OLD.version, OLD.name, OLD.digest, OLD.files, OLD.published_at)
               IS NOT DISTINCT FROM
               (NEW.shop, {new} NEW.id, NEW.version, NEW.name, NEW.digest, NEW.files, NEW.published_at)
            THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'a published version never changes (I8)';
    END
    $$
"""


def upgrade() -> None:
    for table, key in (("scenario", "id"), ("scenario_version", "id, version")):
        op.execute(f"""
            ALTER TABLE console.{table}
                ADD COLUMN kind text NOT NULL DEFAULT 'scenario' CHECK (kind IN ('scenario', 'segment', 'rfm')),
                DROP CONSTRAINT {table}_pkey,
                ADD PRIMARY KEY (shop, kind, {key})
        """)
    op.execute("ALTER TABLE console.scenario ADD CHECK (kind = 'scenario' OR state <> 'paused')")
    op.execute(KEEP.format(kind="OLD.kind,", new="NEW.kind,"))


def downgrade() -> None:
    op.execute(KEEP.format(kind="", new=""))
    op.execute("ALTER TABLE console.scenario_version DISABLE TRIGGER keep_version")
    for table, key in (("scenario", "id"), ("scenario_version", "id, version")):
        op.execute(f"DELETE FROM console.{table} WHERE kind <> 'scenario'")
        op.execute(f"ALTER TABLE console.{table} DROP COLUMN kind, ADD PRIMARY KEY (shop, {key})")
    op.execute("ALTER TABLE console.scenario_version ENABLE TRIGGER keep_version")
