"""The longer SQL texts of rules; `store/` runs them.

RFM: `rules.order_fact` has a row per order, written by the stream in the transaction that applies its events;
`rules.rfm_touched` names the profiles of which an order changed, and only grows there, so that the stream never waits
for a run. `rules.merged` names the merges whose orders are still to be moved, and those of the last day, since a chain
of them may become known from its end. A run writes `rules.rfm`, and `rules.rfm_history` as its outbox.

Products: `rules.product` has each as it was told last, written by the partition of the catalogue that it is in;
`rules.interest_log` has what each batch of events taught about whom they matter to, which the stream only appends to,
since a row of an index for every view is more than it can bear; `rules.interest` is the index made of it, a row per
product and profile. `rules.product_change` are the changes that are still to be told, with how far that is.
"""

LOAD = """
SELECT p.shop, p.profile, p.version, p.document
FROM unnest($1::text[], $2::uuid[]) AS wanted (shop, profile)
JOIN rules.profile AS p ON p.shop = wanted.shop AND p.profile = wanted.profile
"""

SAVE = """
INSERT INTO rules.profile AS p (shop, profile, version, document)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bytea[])
ON CONFLICT (shop, profile) DO UPDATE SET version = excluded.version, document = excluded.document
WHERE p.version = excluded.version - 1
"""

COUNT = """
INSERT INTO rules.tally AS c (shop, name, slot, value)
SELECT shop, name, $3, value FROM unnest($1::text[], $2::text[], $4::bigint[]) AS n (shop, name, value)
ON CONFLICT (shop, name, slot) DO UPDATE SET value = c.value + excluded.value
"""

COUNTERS = """
SELECT name, sum(value)::bigint AS value FROM (
    SELECT name, value FROM rules.tally WHERE $1::text IS NULL OR shop = $1
    UNION ALL
    SELECT name, value FROM rules.counter WHERE $1::text IS NULL
) AS c WHERE starts_with(name, coalesce($2, 'at:')) = ($2 IS NOT NULL) GROUP BY name
"""

KEEP = """
INSERT INTO rules.ended (shop, profile, enrolment, ended_at, document)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::bytea[])
ON CONFLICT DO NOTHING
"""

FORGET = """
DELETE FROM rules.ended WHERE ctid = ANY (ARRAY(SELECT ctid FROM rules.ended WHERE ended_at < $1 LIMIT $2))
"""

BEGIN_SWEEP = """
INSERT INTO rules.sweep (shop, fingerprint, read_to, done) VALUES ($1, $2, $3, $2 = '') ON CONFLICT DO NOTHING
"""

HOLD_SWEEP = """
SELECT fingerprint, read_to, position, done FROM rules.sweep WHERE shop = $1 FOR UPDATE SKIP LOCKED
"""

MOVE_SWEEP = """
UPDATE rules.sweep SET fingerprint = $2, read_to = $3, position = $4, done = $5 WHERE shop = $1
"""

NEXT_PROFILES = """
SELECT profile FROM rules.profile WHERE shop = $1 AND ($2::uuid IS NULL OR profile > $2) ORDER BY profile LIMIT $3
"""


FACTS = """
shop, profile, "order", placed_at, paid_at, shipped_at, delivered_at, statuses, status, status_at, value, currency,
value_at, returned, whole
"""

BLEND = """
ON CONFLICT (shop, profile, "order") DO UPDATE SET
    placed_at = least(f.placed_at, excluded.placed_at),
    paid_at = least(f.paid_at, excluded.paid_at),
    shipped_at = least(f.shipped_at, excluded.shipped_at),
    delivered_at = least(f.delivered_at, excluded.delivered_at),
    statuses = CASE WHEN f.statuses @> excluded.statuses THEN f.statuses ELSE (
        SELECT jsonb_object_agg(word, first) FROM (
            SELECT told.key AS word, min(told.value::timestamptz) AS first
            FROM (SELECT * FROM jsonb_each_text(f.statuses) UNION ALL SELECT * FROM jsonb_each_text(excluded.statuses))
                AS told
            GROUP BY told.key ORDER BY first LIMIT 20
        ) AS earliest
    ) END,
    status = CASE WHEN f.status_at IS NULL OR excluded.status_at >= f.status_at
        THEN coalesce(excluded.status, f.status) ELSE f.status END,
    status_at = greatest(f.status_at, excluded.status_at),
    value = CASE WHEN f.value_at IS NULL OR excluded.value_at >= f.value_at
        THEN coalesce(excluded.value, f.value) ELSE f.value END,
    currency = CASE WHEN f.value_at IS NULL OR excluded.value_at >= f.value_at
        THEN coalesce(excluded.currency, f.currency) ELSE f.currency END,
    value_at = greatest(f.value_at, excluded.value_at),
    returned = least(f.returned + excluded.returned, 10000000000001),
    whole = f.whole OR excluded.whole
"""
"""Two tellings of an order as one; the same as `libs.domain.rfm.facts.blend`, of at most twenty statuses."""

KEEP_ORDERS = f"""
WITH kept AS (
    INSERT INTO rules.order_fact AS f ({FACTS})
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
        $7::timestamptz[], $8::jsonb[], $9::text[], $10::timestamptz[], $11::bigint[], $12::text[],
        $13::timestamptz[], $14::bigint[], $15::boolean[])
    {BLEND}
    RETURNING shop, profile
), touched AS (
    INSERT INTO rules.rfm_touched (shop, profile, merged) SELECT DISTINCT shop, profile, false FROM kept
)
INSERT INTO rules.rfm_shop (shop, begun_at)
SELECT DISTINCT shop, $16::timestamptz FROM kept
WHERE NOT EXISTS (SELECT FROM rules.rfm_shop AS known WHERE known.shop = kept.shop)
ON CONFLICT DO NOTHING
"""

NOTE_MERGES = """
INSERT INTO rules.merged (shop, profile, into_profile, at, done)
SELECT shop, profile, into_profile, $4, false
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS m (shop, profile, into_profile)
ON CONFLICT (shop, profile) DO UPDATE SET at = excluded.at, done = false
"""

MERGES = """
WITH RECURSIVE walk (origin, root, depth) AS (
    SELECT profile, into_profile, 1 FROM rules.merged WHERE shop = $1 AND NOT done
    UNION ALL
    SELECT w.origin, m.into_profile, w.depth + 1
    FROM walk AS w JOIN rules.merged AS m ON m.shop = $1 AND m.profile = w.root WHERE w.depth < 20
)
SELECT DISTINCT ON (origin) origin, root FROM walk ORDER BY origin, depth DESC
"""

MOVE_ORDERS = f"""
WITH gone AS (DELETE FROM rules.order_fact WHERE shop = $1 AND profile = $2 RETURNING *)
INSERT INTO rules.order_fact AS f ({FACTS})
SELECT {FACTS.replace("profile,", "$3::uuid,", 1)} FROM gone ORDER BY "order"
{BLEND}
"""

MOVE_ROW = """
UPDATE rules.rfm SET profile = $3 WHERE shop = $1 AND profile = $2
AND NOT EXISTS (SELECT FROM rules.rfm WHERE shop = $1 AND profile = $3)
"""

MOVE_HISTORY = "UPDATE rules.rfm_history SET profile = $3, told = true WHERE shop = $1 AND profile = $2"

MERGE_DONE = "UPDATE rules.merged SET done = true WHERE shop = $1 AND profile = ANY ($2::uuid[])"

FORGET_MERGES = "DELETE FROM rules.merged WHERE shop = $1 AND done AND at < $2"

TOUCH = """
INSERT INTO rules.rfm_touched (shop, profile, merged) SELECT $1, profile, $3 FROM unnest($2::uuid[]) AS t (profile)
"""

TAKE_TOUCHED = """
WITH gone AS (DELETE FROM rules.rfm_touched WHERE shop = $1 RETURNING profile, merged)
SELECT profile, bool_or(merged) AS merged FROM gone GROUP BY profile
"""

ORDERS = """
SELECT profile, (extract(epoch FROM {at}) * 1000000)::bigint, status, currency, value,
    CASE WHEN whole THEN value ELSE returned END
FROM rules.order_fact WHERE shop = $1 AND {chosen}
"""

BY_SORTING = "SET LOCAL enable_indexscan TO off; SET LOCAL work_mem TO '64MB'"
"""Profiles lie scattered: to follow the index takes twice as long as to sort all orders."""

AS_BEFORE = "SET LOCAL enable_indexscan TO DEFAULT; SET LOCAL work_mem TO DEFAULT"

CUSTOMERS = """
SELECT profile, last_day - date '1970-01-01', orders, frequency, monetary, r, f, m, segment
FROM rules.rfm WHERE shop = $1
"""

CUSTOMERS_CHOSEN = f"""
{CUSTOMERS} AND profile = ANY ($2::uuid[])
UNION
SELECT profile, last_day - date '1970-01-01', orders, frequency, monetary, rfm.r, f, m, segment
FROM rules.rfm JOIN unnest($3::smallint[], $4::date[]) AS w (r, day) ON rfm.r = w.r AND rfm.last_day < w.day
WHERE shop = $1 AND orders > 0
"""

CROSSING = """
SELECT DISTINCT profile FROM rules.order_fact
WHERE shop = $1 AND ({at} >= $2 AND {at} < $3 OR {at} >= $4 AND {at} < $5)
"""

SAVE_CUSTOMERS = """
INSERT INTO rules.rfm AS c (shop, profile, last_day, orders, frequency, monetary, r, f, m, segment)
SELECT $1, * FROM unnest($2::uuid[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[],
    $8::smallint[], $9::smallint[], $10::text[])
ON CONFLICT (shop, profile) DO UPDATE SET
    last_day = excluded.last_day, orders = excluded.orders, frequency = excluded.frequency,
    monetary = excluded.monetary, r = excluded.r, f = excluded.f, m = excluded.m, segment = excluded.segment
"""

SAVE_HISTORY = """
INSERT INTO rules.rfm_history (shop, profile, origin, run, at, "from", "to", r, f, m, quiet, told)
SELECT $1, profile, profile, $2, $3, was, now, r, f, m, quiet, false
FROM unnest($4::uuid[], $5::text[], $6::text[], $7::smallint[], $8::smallint[], $9::smallint[], $10::boolean[])
    AS h (profile, was, now, r, f, m, quiet)
"""

SAVE_RUN = """
UPDATE rules.rfm_shop SET run = $2, version = $3, rules = $4, cuts = $5, day = $6, full_at = $7, run_at = $8,
    excluded = $9
WHERE shop = $1
"""

UNTOLD = """
SELECT origin, run, at, "from", "to", r, f, m, quiet FROM rules.rfm_history
WHERE shop = $1 AND NOT told ORDER BY run, origin LIMIT $2
"""

MARK_TOLD = """
UPDATE rules.rfm_history AS h SET told = true FROM unnest($2::uuid[], $3::bigint[]) AS t (origin, run)
WHERE h.shop = $1 AND h.origin = t.origin AND h.run = t.run
"""

SEGMENTS = """
SELECT segment, count(*) AS customers, sum(orders)::bigint AS orders, sum(monetary)::bigint AS monetary
FROM rules.rfm WHERE shop = $1 GROUP BY segment ORDER BY customers DESC, segment
"""

PAGE = """
SELECT profile, last_day, orders, frequency, monetary, r, f, m, segment FROM rules.rfm
WHERE shop = $1 AND ($2::text IS NULL OR segment = $2) AND ($3::uuid IS NULL OR profile > $3)
ORDER BY profile LIMIT $4
"""

CUSTOMER = """
SELECT profile, last_day, orders, frequency, monetary, r, f, m, segment FROM rules.rfm WHERE shop = $1 AND profile = $2
"""

HISTORY = """
SELECT at, "from", "to", r, f, m FROM rules.rfm_history WHERE shop = $1 AND profile = $2 ORDER BY run DESC LIMIT $3
"""

LOAD_PRODUCTS = """
SELECT p.shop, p.product, p.document
FROM unnest($1::text[], $2::text[]) AS wanted (shop, product)
JOIN rules.product AS p ON p.shop = wanted.shop AND p.product = wanted.product
"""

SAVE_PRODUCTS = """
INSERT INTO rules.product (shop, product, document)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT (shop, product) DO UPDATE SET document = excluded.document
"""

INDEX_INTERESTS = """
WITH taken AS (
    DELETE FROM rules.interest_log
    WHERE number = ANY (ARRAY(SELECT number FROM rules.interest_log ORDER BY number LIMIT $1))
    RETURNING number, rows
), told AS (
    SELECT DISTINCT ON (shop, product, profile) shop, product, profile, how, at, until
    FROM taken, jsonb_array_elements(rows) WITH ORDINALITY AS r (told, place), LATERAL (
        SELECT told ->> 0 AS shop, told ->> 1 AS product, (told ->> 2)::uuid AS profile, told ->> 3 AS how,
            (told ->> 4)::timestamptz AS at, (told ->> 5)::timestamptz AS until
    ) AS fields
    ORDER BY shop, product, profile, number DESC, place DESC
), dropped AS (
    DELETE FROM rules.interest AS i USING told
    WHERE told.how IS NULL AND i.shop = told.shop AND i.product = told.product AND i.profile = told.profile
), kept AS (
    INSERT INTO rules.interest (shop, product, profile, how, at, until)
    SELECT shop, product, profile, how, at,
        coalesce(until, at + CASE how WHEN $2 THEN $3::interval ELSE $4::interval END)
    FROM told WHERE how IS NOT NULL
    ON CONFLICT (shop, product, profile) DO UPDATE SET how = excluded.how, at = excluded.at, until = excluded.until
)
SELECT count(*) FROM taken
"""
"""Bring noted interests into the index, of each product and profile the last."""

FORGET_INTERESTS = """
DELETE FROM rules.interest WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM rules.interest WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

INTERESTED = """
SELECT profile FROM rules.interest
WHERE shop = $1 AND product = $2 AND ($3::uuid IS NULL OR profile > $3) AND until > $4
ORDER BY profile LIMIT $5
"""

KEEP_CHANGES = """
INSERT INTO rules.product_change (change, shop, product, kind, old_price, at, data, traceparent)
SELECT change, shop, product, kind, old_price, at, data, traceparent
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::jsonb[],
    $8::text[]) WITH ORDINALITY AS c (change, shop, product, kind, old_price, at, data, traceparent, place)
ORDER BY place ON CONFLICT (change) DO NOTHING
"""

HOLD_CHANGE = """
SELECT c.number, c.change, c.shop, c.product, c.kind, c.old_price, c.at, c.data, c.traceparent, c.position, p.document
FROM rules.product_change AS c JOIN rules.product AS p ON p.shop = c.shop AND p.product = c.product
WHERE c.number <= $1 AND NOT EXISTS (
    SELECT FROM rules.product_change AS before
    WHERE before.shop = c.shop AND before.product = c.product AND before.number < c.number
)
ORDER BY c.turn LIMIT 1 FOR UPDATE OF c SKIP LOCKED
"""
"""The next change to tell: those of one product after each other, those of several in turns."""

MOVE_CHANGE = """
UPDATE rules.product_change SET position = $2, turn = nextval('rules.product_turn') WHERE number = $1
"""
