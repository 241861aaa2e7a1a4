"""The sums of the audit by shop (I9).

`rules.counter` stays for code from before, which may run beside the new for a while; what it holds counts for the
platform as a whole. Where there is one shop, all of it was that shop's.
"""

from alembic import op

revision = "rules_0005"
down_revision = "rules_0004"
branch_labels = None
depends_on = None

MOVE = """
WITH one AS (SELECT min(shop) AS shop FROM (SELECT DISTINCT shop FROM rules.profile LIMIT 2) AS s HAVING count(*) = 1),
gone AS (DELETE FROM rules.counter USING one RETURNING one.shop, name, slot, value)
INSERT INTO rules.tally (shop, name, slot, value) SELECT shop, name, slot, value FROM gone
"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE rules.tally (
            shop text NOT NULL,
            name text NOT NULL,
            slot integer NOT NULL,
            value bigint NOT NULL,
            PRIMARY KEY (shop, name, slot)
        ) WITH (fillfactor = 50)
    """)
    op.execute(MOVE)
    op.execute("""
        INSERT INTO rules.tally (shop, name, slot, value)
        SELECT shop, 'events.received', slot, sum(value)::bigint FROM rules.tally
        WHERE name IN ('events.applied', 'events.duplicates', 'events.quarantined') GROUP BY shop, slot
    """)


def downgrade() -> None:
    op.execute("""
        INSERT INTO rules.counter AS c (name, slot, value)
        SELECT name, slot, sum(value)::bigint FROM rules.tally GROUP BY name, slot
        ON CONFLICT (name, slot) DO UPDATE SET value = c.value + excluded.value
    """)
    op.execute("DROP TABLE rules.tally")
