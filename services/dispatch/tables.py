"""The statements of dispatch: text alone, run by `store.py`."""

INSERT = """
WITH told AS (
    SELECT DISTINCT ON (message) * FROM unnest(
        $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::int[], $6::uuid[], $7::text[], $8::text[],
        $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bytea[], $14::int[]
    ) WITH ORDINALITY AS n (message, shop, profile, scenario, version, enrolment, path, name,
                            channels, requested_at, expires_at, traceparent, body, priority, place)
    ORDER BY message, place
), new AS (
    INSERT INTO dispatch.message (message, shop, profile, scenario, version, enrolment, path, name,
                                  channels, requested_at, expires_at, traceparent, priority, not_before)
    SELECT message, shop, profile, scenario, version, enrolment, path, name,
           string_to_array(channels, ','), requested_at, expires_at, traceparent, priority, greatest(
               least(requested_at, $15::timestamptz),
               (SELECT max(before.not_before) FROM dispatch.message AS before
                WHERE before.enrolment = told.enrolment AND before.state = 'pending'))
    FROM told ORDER BY place ON CONFLICT (message) DO NOTHING RETURNING message
), kept AS (
    INSERT INTO dispatch.request (message, body) SELECT told.message, told.body FROM told JOIN new USING (message)
)
SELECT count(*) FROM new
"""
"""A message that comes after one that is put off is not due before that one: it would only lie in the claims' way."""

CANCEL = """
UPDATE dispatch.message AS m SET cancelled = told.because, not_before = least(m.not_before, $4::timestamptz)
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS told (shop, message, because)
WHERE m.message = told.message AND m.shop = told.shop AND m.state IN ('pending', 'claimed', 'sending')
RETURNING m.message
"""
"""What is put off becomes due, so that it ends now."""

QUEUES = {"messages": "channels <> '{webhook}'", "calls": "channels = '{webhook}'"}
"""What goes to customers, and calls of web addresses: each has its own index."""

FIRST = """
NOT EXISTS (
    SELECT FROM dispatch.message AS before
    WHERE before.enrolment = m.enrolment AND before.seq < m.seq AND before.state IN ('pending', 'claimed', 'sending')
)
"""
"""Of the open messages of an enrolment only the first may go out: they come one at a time, in their order."""

BUSY = f"SELECT shop, profile FROM dispatch.message WHERE state IN ('claimed', 'sending') AND {QUEUES['messages']}"
"""Customers with a message under way: they get no other meanwhile. They are few, and read once a statement."""

CLAIMED = """
UPDATE dispatch.message AS m SET state = 'claimed', worker = $3
FROM next JOIN dispatch.request AS r USING (message) WHERE m.message = next.message
RETURNING m.message, m.shop, m.profile, m.tries, m.reason, m.traceparent, m.cancelled, m.not_before, r.body
"""

CLAIM_LOCK = """
SELECT pg_advisory_xact_lock($1), set_config('idle_in_transaction_session_timeout', $2, true)
"""

CLAIM_MESSAGES = f"""
WITH next AS (
    SELECT best.message FROM dispatch.message AS front
    CROSS JOIN LATERAL (
        SELECT message FROM dispatch.message WHERE state = 'pending' AND message = (
            SELECT m.message FROM dispatch.message AS m
            WHERE m.shop = front.shop AND m.profile = front.profile AND m.state = 'pending'
              AND m.{QUEUES["messages"]} AND m.not_before <= $1 AND {FIRST}
            ORDER BY m.priority DESC, m.seq LIMIT 1
        ) FOR UPDATE SKIP LOCKED
    ) AS best
    WHERE front.state = 'pending' AND front.{QUEUES["messages"]} AND front.not_before <= $1
      AND (front.shop, front.profile) NOT IN ({BUSY}) AND NOT EXISTS (
        SELECT FROM dispatch.message AS earlier
        WHERE earlier.shop = front.shop AND earlier.profile = front.profile AND earlier.state = 'pending'
          AND earlier.{QUEUES["messages"]} AND (earlier.not_before, earlier.seq) < (front.not_before, front.seq)
    )
    ORDER BY front.not_before LIMIT $2
)
{CLAIMED}
"""
"""Goes through the customers in the order in which their earliest message became due, and takes of each the most
important that is due: so what is outranked never lies in the way of others.
"""

CLAIM_CALLS = f"""
WITH next AS (
    SELECT message FROM dispatch.message AS m
    WHERE state = 'pending' AND {QUEUES["calls"]} AND not_before <= $1 AND {FIRST}
    ORDER BY not_before LIMIT $2 FOR UPDATE OF m SKIP LOCKED
)
{CLAIMED}
"""

NEXT_MESSAGE = f"""
SELECT not_before FROM dispatch.message AS m
WHERE state = 'pending' AND {QUEUES["messages"]} AND {FIRST} AND (not_before > $1 OR (shop, profile) NOT IN ({BUSY}))
ORDER BY not_before LIMIT 1
"""
"""When a claim is worth while by the passing of time alone; who waits for another message is woken at its end."""

NEXT_CALL = f"""
SELECT not_before FROM dispatch.message AS m WHERE state = 'pending' AND {QUEUES["calls"]} AND {FIRST}
ORDER BY not_before LIMIT 1
"""

FOLLOWED = f"""
SELECT EXISTS (
    SELECT FROM dispatch.message AS m JOIN dispatch.message AS next ON next.enrolment = m.enrolment
    WHERE m.message = ANY($1::uuid[]) AND next.message <> m.message AND next.state = 'pending'
) OR EXISTS (
    SELECT FROM dispatch.message AS m JOIN dispatch.message AS next ON next.shop = m.shop AND next.profile = m.profile
    WHERE m.message = ANY($1::uuid[]) AND next.message <> m.message AND next.state = 'pending'
      AND next.{QUEUES["messages"]} AND next.not_before <= $2
)
"""

WAITING = " + ".join(
    f"(SELECT count(*) FROM dispatch.message WHERE {which} AND ($1::text IS NULL OR shop = $1))"
    for which in (
        *(f"state = 'pending' AND {queue}" for queue in QUEUES.values()),
        "state IN ('claimed', 'sending')",
    )
)

MOVED = f"""
moved AS (
    UPDATE dispatch.message AS o SET profile = n.profile FROM n JOIN dispatch.message AS m USING (message)
    WHERE m.profile <> n.profile AND m.worker = $1 AND o.shop = m.shop AND o.profile = m.profile
      AND o.state = 'pending' AND o.{QUEUES["messages"]}
)
"""
"""Consent says that a message belongs to another profile by now: so does all that waits for the same customer."""

MARK = f"""
WITH n AS (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[]) AS n (message, channel, gateway, profile)
), {MOVED}
UPDATE dispatch.message AS m SET state = 'sending', channel = n.channel, gateway = n.gateway,
    profile = coalesce(n.profile, m.profile)
FROM n WHERE m.message = n.message AND m.state = 'claimed' AND m.worker = $1 AND m.cancelled IS NULL
RETURNING m.message
"""

CHANGE = f"""
WITH n AS (
    SELECT * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::int[], $9::uuid[])
        AS n (message, was, state, reason, not_before, tried, profile)
), {MOVED}, changed AS (
    UPDATE dispatch.message AS m SET
        state = n.state,
        worker = NULL,
        told = CASE WHEN n.state <> 'pending' THEN false
                    WHEN n.reason IS NULL THEN m.told
                    WHEN n.reason = m.reason AND (n.reason <> 'cap' OR n.not_before = m.not_before) THEN m.told
                    ELSE false END,
        reason = CASE WHEN n.state = 'pending' THEN coalesce(n.reason, m.reason) ELSE n.reason END,
        not_before = CASE WHEN m.cancelled IS NULL THEN coalesce(n.not_before, m.not_before) ELSE $2::timestamptz END,
        tries = m.tries + n.tried,
        profile = coalesce(n.profile, m.profile),
        channel = CASE WHEN n.state = 'pending' THEN NULL ELSE m.channel END,
        gateway = CASE WHEN n.state = 'pending' THEN NULL ELSE m.gateway END,
        ended_at = CASE WHEN n.state = 'pending' THEN NULL ELSE $2::timestamptz END
    FROM n WHERE m.message = n.message AND m.worker = $1 AND m.state IN ('claimed', 'sending')
      AND (m.state = n.was OR n.was = 'held')
    RETURNING m.message, m.state, m.enrolment, m.seq, m.not_before, m.requested_at, m.channels
), spaced AS (
    UPDATE dispatch.message AS o SET reason = 'earlier_message', told = false, not_before = least(
        $2 + (o.requested_at - c.requested_at), o.expires_at + interval '1 millisecond')
    FROM changed AS c
    WHERE c.state = 'sent' AND c.{QUEUES["messages"]} AND o.enrolment = c.enrolment AND o.seq > c.seq
      AND o.state = 'pending' AND o.{QUEUES["messages"]} AND o.cancelled IS NULL
      AND o.requested_at > c.requested_at AND o.not_before < $2 + (o.requested_at - c.requested_at)
), later AS (
    UPDATE dispatch.message AS o SET not_before = c.not_before FROM changed AS c
    WHERE c.state = 'pending' AND o.enrolment = c.enrolment AND o.seq > c.seq AND o.state = 'pending'
      AND o.not_before < c.not_before
), gone AS (
    DELETE FROM dispatch.request AS r USING changed AS c WHERE r.message = c.message AND c.state <> 'pending'
)
SELECT message FROM changed
"""
"""A message that was held up by one before it of its run keeps its distance when that one goes out late."""

HOLDERS = "SELECT DISTINCT worker FROM dispatch.message WHERE state IN ('claimed', 'sending') AND %s"

RECOVER = """
WITH back AS (
    UPDATE dispatch.message SET state = 'pending', worker = NULL, channel = NULL, gateway = NULL
    WHERE (state = 'claimed' OR (state = 'sending' AND channel = 'webhook')) AND worker = ANY($1::int[])
    RETURNING message
), lost AS (
    UPDATE dispatch.message
    SET state = 'unknown', worker = NULL, reason = 'worker_died', told = false, ended_at = $2::timestamptz
    WHERE state = 'sending' AND channel <> 'webhook' AND worker = ANY($1::int[])
    RETURNING message, scenario, channel
), gone AS (
    DELETE FROM dispatch.request AS r USING lost WHERE r.message = lost.message
)
SELECT NULL AS scenario, NULL AS channel, message FROM back UNION ALL SELECT scenario, channel, message FROM lost
"""

UNTOLD = """
SELECT message, shop, profile, scenario, version, enrolment, path, name, state, reason, channel, gateway,
       ended_at, not_before, traceparent
FROM dispatch.message WHERE NOT told ORDER BY message LIMIT $1 FOR UPDATE SKIP LOCKED
"""

TOUCH = """
WITH touched AS (
    UPDATE dispatch.message SET
        clicked_at = CASE WHEN $3::text = 'clicked' THEN coalesce(clicked_at, $5::timestamptz) ELSE clicked_at END,
        opened_at = CASE WHEN $3::text = 'opened' THEN coalesce(opened_at, $5::timestamptz) ELSE opened_at END
    WHERE message = $2 RETURNING message
)
INSERT INTO dispatch.touch (id, message, kind, url, at) SELECT $1, message, $3, $4, $5 FROM touched
ON CONFLICT DO NOTHING
"""

TOUCHED = """
DELETE FROM dispatch.touch AS t USING dispatch.message AS m
WHERE m.message = t.message
  AND t.id IN (SELECT id FROM dispatch.touch ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING t.id, t.message, m.shop, m.profile, m.scenario, m.name, t.kind, t.url, t.at, m.traceparent
"""

OUTBOX = """
SELECT * FROM (
    SELECT message AS message_id, shop, profile, scenario, version, name AS message,
           coalesce(channel, channels[1]) AS channel, gateway, requested_at,
           CASE WHEN state IN ('claimed', 'sending') THEN 'pending' ELSE state END AS end, reason, ended_at,
           CASE WHEN state = 'pending' AND reason IS NOT NULL THEN not_before END AS until,
           delivered_at, opened_at, clicked_at, bounced_at
    FROM dispatch.message
    WHERE shop = $1 AND ($2::uuid IS NULL OR profile = $2)
      AND ($3::text IS NULL OR channel = $3 OR (channel IS NULL AND $3 = ANY(channels)))
    ORDER BY requested_at DESC, message_id DESC LIMIT $4
) AS newest ORDER BY requested_at, message_id
"""
