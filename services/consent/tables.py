"""The statements of consent: text alone, run by `store.py`."""

KNOW = """
INSERT INTO consent.profile (shop, profile)
SELECT * FROM unnest($1::text[], $2::uuid[]) AS n (shop, profile) ORDER BY shop, profile
ON CONFLICT DO NOTHING
"""

LOCK = """
WITH wanted AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::uuid[]) AS w (shop, profile)),
concerned AS MATERIALIZED (
    SELECT shop, profile FROM wanted
    UNION
    SELECT p.shop, p.into_profile FROM wanted JOIN consent.profile AS p USING (shop, profile)
    WHERE p.into_profile IS NOT NULL
)
SELECT p.shop, p.profile, p.into_profile
FROM concerned AS c JOIN consent.profile AS p ON p.shop = c.shop AND p.profile = c.profile
ORDER BY p.shop, p.profile FOR {mode}
"""

REDIRECT = """
UPDATE consent.profile AS p SET into_profile = m.winner
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS m (shop, loser, winner)
WHERE p.shop = m.shop AND (p.profile = m.loser OR p.into_profile = m.loser)
"""

STATES = """
SELECT s.shop, s.profile, s.channel, s.purpose, s.status, s.at, s.seq, s.hash,
    s.beside_status, s.beside_at, s.beside_seq, s.beside_hash
FROM unnest($1::text[], $2::uuid[]) AS w (shop, profile)
JOIN consent.state AS s ON s.shop = w.shop AND s.profile = w.profile
"""

SAVE_STATES = """
INSERT INTO consent.state (shop, profile, channel, purpose, status, at, seq, hash, beside_status, beside_at, beside_seq,
    beside_hash)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[],
    $8::bytea[], $9::text[], $10::timestamptz[], $11::bigint[], $12::bytea[])
ON CONFLICT (shop, profile, channel, purpose) DO UPDATE
SET status = excluded.status, at = excluded.at, seq = excluded.seq, hash = excluded.hash,
    beside_status = excluded.beside_status, beside_at = excluded.beside_at, beside_seq = excluded.beside_seq,
    beside_hash = excluded.beside_hash
"""

DROP_STATES = """
DELETE FROM consent.state AS s USING unnest($1::text[], $2::uuid[]) AS gone (shop, profile)
WHERE s.shop = gone.shop AND s.profile = gone.profile
"""

MOVE_CONTACTS = """
WITH moved AS (
    DELETE FROM consent.contact AS c USING unnest($1::text[], $2::uuid[], $3::uuid[]) AS m (shop, loser, winner)
    WHERE c.shop = m.shop AND c.profile = m.loser
    RETURNING c.shop, m.winner, c.channel, c.digest, c.address, c.at, c.source
)
INSERT INTO consent.contact AS c (shop, profile, channel, digest, address, at, source)
SELECT DISTINCT ON (shop, winner, channel, digest) * FROM moved ORDER BY shop, winner, channel, digest, at DESC
ON CONFLICT (shop, profile, channel, digest) DO UPDATE
SET address = excluded.address, at = excluded.at, source = excluded.source WHERE c.at < excluded.at
"""

MOVE_PLACES = """
UPDATE consent.place AS c SET profile = m.winner
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS m (shop, loser, winner)
WHERE c.shop = m.shop AND c.profile = m.loser
"""

PLACES = """
SELECT c.shop, c.profile, c.message, c.channel, c.at
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS w (shop, profile, since)
JOIN consent.place AS c ON c.shop = w.shop AND c.profile = w.profile AND c.at > w.since
"""

TAKE_PLACES = """
INSERT INTO consent.place (shop, message, profile, channel, at)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[])
ON CONFLICT (shop, message) DO UPDATE
SET profile = excluded.profile, channel = excluded.channel, at = excluded.at
"""

FREE_PLACES = """
WITH held AS MATERIALIZED (
    SELECT c.shop, c.message FROM unnest($1::text[], $2::uuid[]) AS n (shop, message)
    JOIN consent.place AS c ON c.shop = n.shop AND c.message = n.message
    ORDER BY c.shop, c.message FOR UPDATE OF c
)
DELETE FROM consent.place AS c USING held WHERE c.shop = held.shop AND c.message = held.message
"""

TIDY_PLACES = """
DELETE FROM consent.place WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM consent.place WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

ADD_CONTACTS = """
INSERT INTO consent.contact AS c (shop, profile, channel, digest, address, at, source)
SELECT DISTINCT ON (shop, profile, channel, digest) *
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[], $6::timestamptz[], $7::text[])
    AS n (shop, profile, channel, digest, address, at, source)
WHERE NOT EXISTS (SELECT FROM consent.erasure AS x WHERE x.shop = n.shop AND x.profile = n.profile AND x.at >= n.at)
ORDER BY shop, profile, channel, digest, at DESC
ON CONFLICT (shop, profile, channel, digest) DO UPDATE
SET address = excluded.address, at = excluded.at, source = excluded.source WHERE c.at < excluded.at
"""

REACHABLE = """
SELECT DISTINCT ON (c.shop, c.profile, c.channel) c.shop, c.profile, c.channel, c.digest, c.address,
    EXISTS (SELECT FROM consent.suppression AS s
        WHERE s.shop = c.shop AND s.channel = c.channel AND s.digest = c.digest) AS suppressed
FROM unnest($1::text[], $2::uuid[]) AS w (shop, profile)
JOIN consent.contact AS c ON c.shop = w.shop AND c.profile = w.profile
ORDER BY c.shop, c.profile, c.channel, c.at DESC, c.digest
"""
"""Of each channel the newest address, and whether it is suppressed."""

HEADS = "SELECT shop, seq, hash FROM consent.chain WHERE shop = ANY($1::text[]) ORDER BY shop FOR UPDATE"
NEW_HEADS = "INSERT INTO consent.chain SELECT shop, 0, $2 FROM unnest($1::text[]) AS n (shop) ON CONFLICT DO NOTHING"
MOVE_HEADS = """
UPDATE consent.chain AS c SET seq = n.seq, hash = n.hash
FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS n (shop, seq, hash) WHERE c.shop = n.shop
"""

RECORDED = """
SELECT r.shop, r.record FROM unnest($1::text[], $2::uuid[]) AS w (shop, record)
JOIN consent.register AS r ON r.shop = w.shop AND r.record = w.record
"""

APPEND = """
INSERT INTO consent.register (shop, seq, record, profile, channel, purpose, status, at, recorded_at, who, source,
    clause, text, how, sealed, prev, hash)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
    $15::bytea[], $16::bytea[], $17::bytea[])
"""

KEEP_EVIDENCE = "INSERT INTO consent.evidence SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])"

POST = """
INSERT INTO consent.outbox (shop, profile, channel, purpose, status, because, at, seq, traceparent)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
    $8::bigint[], $9::text[])
"""

POSTED = """
SELECT o.id, o.shop, coalesce(p.into_profile, o.profile) AS profile, o.channel, o.purpose, o.status, o.because, o.at,
    o.seq, o.traceparent
FROM consent.outbox AS o LEFT JOIN consent.profile AS p ON p.shop = o.shop AND p.profile = o.profile
ORDER BY o.id LIMIT $1
"""

DECIDED = """
INSERT INTO consent.decision (message, shop, profile, purpose, scenario, decision, reason, channel, digest, seq, hash,
    decided_at)
SELECT n.*, $12 FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::bytea[], $10::bigint[], $11::bytea[]) AS n
"""

SUPPRESS = """
INSERT INTO consent.suppression (shop, channel, digest, reason, since) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
"""

ROWS = """
SELECT r.*, e.sealed AS evidence, x.seq IS NOT NULL AS forgotten
FROM consent.register AS r
LEFT JOIN consent.evidence AS e ON e.shop = r.shop AND e.seq = r.seq
LEFT JOIN consent.erasure AS x ON x.shop = r.shop AND x.profile = r.profile AND x.seq >= r.seq
WHERE r.shop = $1 AND {which} ORDER BY r.seq LIMIT {limit:d}
"""

LOOSE = """
SELECT count(*) FROM consent.state AS s LEFT JOIN consent.register AS r ON r.shop = s.shop AND r.seq = s.seq
WHERE s.shop = $1 AND (s.hash, s.status, s.channel, s.purpose, s.at)
    IS DISTINCT FROM (r.hash, r.status, r.channel, r.purpose, r.at)
"""

PROOF = """
SELECT message, shop, profile, purpose, scenario, decision, reason, channel, digest, seq, hash, decided_at
FROM consent.decision WHERE {which} AND ($2::text IS NULL OR shop = $2) ORDER BY id DESC LIMIT 1000
"""

CONTACTS = """
SELECT c.channel, c.address, c.at, c.source, s.reason AS suppressed
FROM consent.contact AS c LEFT JOIN consent.suppression AS s USING (shop, channel, digest)
WHERE c.shop = $1 AND c.profile = $2 ORDER BY c.channel, c.at DESC, c.digest
"""

FORGET = """
WITH forgotten AS (
    INSERT INTO consent.erasure (shop, profile, at, seq) SELECT $1, p, $3, $4 FROM unnest($2::uuid[]) AS p
    ON CONFLICT (shop, profile) DO UPDATE SET at = excluded.at, seq = excluded.seq
    RETURNING 1
), evidence AS (
    DELETE FROM consent.evidence AS e USING consent.register AS r
    WHERE r.shop = $1 AND r.profile = ANY($2::uuid[]) AND e.shop = r.shop AND e.seq = r.seq AND e.seq <= $4
    RETURNING 1
), contacts AS (
    DELETE FROM consent.contact WHERE shop = $1 AND profile = ANY($2::uuid[]) RETURNING 1
), places AS (
    DELETE FROM consent.place WHERE shop = $1 AND profile = ANY($2::uuid[])
)
SELECT (SELECT count(*) FROM contacts) AS addresses, (SELECT count(*) FROM evidence) AS evidence
"""

CHAIN_ROWS = "SELECT seq, hash FROM consent.chain WHERE shop = $1"
LOCK_DRAIN = "SELECT pg_advisory_xact_lock($1)"
TOLD = "DELETE FROM consent.outbox WHERE id = ANY($1::bigint[])"
WAITING = "SELECT count(*) FROM consent.outbox WHERE $1::text IS NULL OR shop = $1"
POSITIONS = "SELECT partition, next_offset FROM consent.consumer_offset WHERE topic = $1"
ROOT = "SELECT coalesce(into_profile, profile) FROM consent.profile WHERE shop = $1 AND profile = $2"
ALIASES = "SELECT profile FROM consent.profile WHERE shop = $1 AND (profile = $2 OR into_profile = $2) ORDER BY 1"
SIZES = "SELECT coalesce(sum(seq), 0)::bigint FROM consent.chain WHERE $1::text IS NULL OR shop = $1"
