"""Orders as RFM counts them, each customer's figures and scores, their history, and how each shop's runs stand."""

from alembic import op

revision = "rules_0003"
down_revision = "rules_0002"
branch_labels = None
depends_on = None


ORDER_FACT = """
CREATE TABLE rules.order_fact (
    shop text NOT NULL,
    profile uuid NOT NULL,
    "order" text NOT NULL,
    placed_at timestamptz,
    paid_at timestamptz,
    shipped_at timestamptz,
    delivered_at timestamptz,
    statuses jsonb NOT NULL,
    status text,
    status_at timestamptz,
    value bigint,
    currency text,
    value_at timestamptz,
    returned bigint NOT NULL,
    whole boolean NOT NULL,
    PRIMARY KEY (shop, profile, "order")
)
"""

RFM_SHOP = """
CREATE TABLE rules.rfm_shop (
    shop text PRIMARY KEY,
    begun_at timestamptz NOT NULL,
    run bigint NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 0,
    rules jsonb,
    cuts jsonb,
    day date,
    full_at timestamptz,
    run_at timestamptz,
    excluded jsonb
)
"""

RFM = """
CREATE TABLE rules.rfm (
    shop text NOT NULL,
    profile uuid NOT NULL,
    last_day date NOT NULL,
    orders bigint NOT NULL,
    frequency bigint NOT NULL,
    monetary bigint NOT NULL,
    r smallint NOT NULL,
    f smallint NOT NULL,
    m smallint NOT NULL,
    segment text,
    PRIMARY KEY (shop, profile)
)
"""

RFM_HISTORY = """
CREATE TABLE rules.rfm_history (
    shop text NOT NULL,
    profile uuid NOT NULL,
    origin uuid NOT NULL,
    run bigint NOT NULL,
    at timestamptz NOT NULL,
    "from" text,
    "to" text,
    r smallint NOT NULL,
    f smallint NOT NULL,
    m smallint NOT NULL,
    quiet boolean NOT NULL,
    told boolean NOT NULL,
    PRIMARY KEY (shop, origin, run)
)
"""

RFM_TOUCHED = "CREATE TABLE rules.rfm_touched (shop text NOT NULL, profile uuid NOT NULL, merged boolean NOT NULL)"

MERGED = """
CREATE TABLE rules.merged (
    shop text NOT NULL,
    profile uuid NOT NULL,
    into_profile uuid NOT NULL,
    at timestamptz NOT NULL,
    done boolean NOT NULL,
    PRIMARY KEY (shop, profile)
)
"""

INDEXES = (
    *(
        f"CREATE INDEX order_{name} ON rules.order_fact (shop, {name}) WHERE {name} IS NOT NULL"
        for name in ("placed_at", "paid_at", "shipped_at", "delivered_at")
    ),
    "CREATE INDEX rfm_falls ON rules.rfm (shop, r, last_day) WHERE orders > 0",
    "CREATE INDEX rfm_segment ON rules.rfm (shop, segment, profile)",
    "CREATE INDEX rfm_history_profile ON rules.rfm_history (shop, profile, run)",
    "CREATE INDEX rfm_untold ON rules.rfm_history (shop, run, origin) WHERE NOT told",
    "CREATE INDEX rfm_touched_shop ON rules.rfm_touched (shop)",
)


def upgrade() -> None:
    for statement in (ORDER_FACT, RFM_SHOP, RFM, RFM_HISTORY, RFM_TOUCHED, MERGED, *INDEXES):
        op.execute(statement)


def downgrade() -> None:
    for name in ("merged", "rfm_touched", "rfm_history", "rfm", "rfm_shop", "order_fact"):
        op.execute(f"DROP TABLE rules.{name}")
