"""Products as they were told last, the customers to whom each matters, and the changes that are being told."""

from alembic import op

revision = "rules_0004"
down_revision = "rules_0003"
branch_labels = None
depends_on = None

PRODUCT = """
CREATE TABLE rules.product (
    shop text NOT NULL,
    product text NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (shop, product)
) WITH (fillfactor = 80)
"""

INTEREST = """
CREATE TABLE rules.interest (
    shop text NOT NULL,
    product text NOT NULL,
    profile uuid NOT NULL,
    how text NOT NULL,
    at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (shop, product, profile)
)
"""

INTEREST_LOG = """
CREATE TABLE rules.interest_log (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rows jsonb NOT NULL
)
"""

CHANGE = """
CREATE TABLE rules.product_change (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change uuid NOT NULL UNIQUE,
    shop text NOT NULL,
    product text NOT NULL,
    kind text NOT NULL,
    old_price text,
    at timestamptz NOT NULL,
    data jsonb NOT NULL,
    traceparent text,
    position uuid,
    turn bigint NOT NULL DEFAULT nextval('rules.product_turn')
)
"""

STATEMENTS = (
    PRODUCT,
    INTEREST,
    INTEREST_LOG,
    "CREATE INDEX interest_until ON rules.interest (until)",
    "CREATE SEQUENCE rules.product_turn",
    CHANGE,
    "CREATE INDEX product_change_turn ON rules.product_change (turn)",
    "CREATE INDEX product_change_product ON rules.product_change (shop, product, number)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for name in ("product_change", "interest_log", "interest", "product"):
        op.execute(f"DROP TABLE rules.{name}")
    op.execute("DROP SEQUENCE rules.product_turn")
