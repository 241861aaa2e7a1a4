"""The registry of scenarios: versions that never change (I8), which one is current, and what Kafka was told."""

from alembic import op

revision = "console_0001"
down_revision = None
branch_labels = ("console",)
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA console")
    op.execute("""
        CREATE TABLE console.scenario (
            shop text NOT NULL,
            id text NOT NULL,
            version integer NOT NULL,
            state text NOT NULL CHECK (state IN ('live', 'paused', 'archived')),
            changed_at timestamptz NOT NULL,
            told boolean NOT NULL DEFAULT false,
            PRIMARY KEY (shop, id)
        )
    """)
    op.execute("""
        CREATE TABLE console.scenario_version (
            shop text NOT NULL,
            id text NOT NULL,
            version integer NOT NULL,
            name text NOT NULL,
            digest bytea NOT NULL,
            files jsonb NOT NULL,
            published_at timestamptz NOT NULL,
            told boolean NOT NULL DEFAULT false,
            PRIMARY KEY (shop, id, version)
        )
    """)
    op.execute("CREATE INDEX ON console.scenario (shop, id) WHERE NOT told")
    op.execute("CREATE INDEX ON console.scenario_version (shop, id) WHERE NOT told")
    op.execute("""
        CREATE FUNCTION console.keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                IF (OLD.shop, OLD.id, OLD.version, OLD.name, OLD.digest, OLD.files, OLD.published_at)
                   IS NOT DISTINCT FROM
                   (NEW.shop, NEW.id, NEW.version, NEW.name, NEW.digest, NEW.files, NEW.published_at)
                THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'a published scenario version never changes (I8)';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER keep_version BEFORE UPDATE OR DELETE ON console.scenario_version
        FOR EACH ROW EXECUTE FUNCTION console.keep_version()
    """)
    op.execute("""
        CREATE TRIGGER keep_versions BEFORE TRUNCATE ON console.scenario_version
        FOR EACH STATEMENT EXECUTE FUNCTION console.keep_version()
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA console CASCADE")
