"""The SQL of the gateway and the workers (async). Django's models own the tables.

Every change of a request's state is one statement here that names the state it starts from, so that a
state moves one way whoever else is writing. Times come from the database's clock (``clock_timestamp()``).
"""

from typing import LiteralString, NamedTuple

DEFERRED_QUEUE = "deferred"
DEFERRED_TASK = "daehwa:run_deferred"
"""Queue and task under which procrastinate carries a deferred request's key."""


class Statement(NamedTuple):
    """One statement and its parameters."""

    sql: LiteralString
    parameters: dict[str, object]


def _defer_job(pk: LiteralString, at: LiteralString) -> LiteralString:
    return (
        "procrastinate_defer_jobs_v1(ARRAY[ROW('" + DEFERRED_QUEUE + "', '" + DEFERRED_TASK + "', 0, NULL, NULL, "
        "jsonb_build_object('request_pk', " + pk + "), " + at + ")]::procrastinate_job_to_defer_v1[])"
    )


FIND_KEY: LiteralString = """
SELECT k.id AS api_key_pk, k.digest, p.id AS project_pk, p.content = 'always' AS keeps_content
FROM conversations_apikey k JOIN conversations_project p ON p.id = k.project_id
WHERE k.prefix = %(prefix)s AND k.revoked_at IS NULL
"""

_RECEIVE: LiteralString = """
WITH made AS (
    INSERT INTO conversations_chatrequest (
        request_id, project_id, api_key_id, surface, mode, model, end_user, metadata, preview, stored, content_kept,
        is_sample, has_images, has_audio, prefix_hashes, enriched, state, reason, error_type, error_code, error_param,
        error_message, attempt_number, lease_expires_at, received_at, queued_at, started_at
    ) VALUES (
        %(request_id)s, %(project_pk)s, %(api_key_pk)s, %(surface)s, %(mode)s, %(model)s, %(end_user)s,
        %(metadata)s, %(preview)s, %(stored)s, %(content_kept)s, %(is_sample)s, %(has_images)s, %(has_audio)s,
        %(prefix_hashes)s::uuid[], false, %(state)s::text, '', '', '', '', '', 0,
        clock_timestamp() + make_interval(secs => %(lease)s::float8), clock_timestamp(),
        CASE WHEN %(state)s::text = 'queued' THEN clock_timestamp() END,
        CASE WHEN %(state)s::text = 'running' THEN clock_timestamp() END
    ) RETURNING id
), kept AS (
    INSERT INTO conversations_body (request_id, request_body) SELECT id, %(body)s FROM made WHERE %(content_kept)s::bool
)
"""

RECEIVE: LiteralString = _RECEIVE + "SELECT id AS pk FROM made"
RECEIVE_DEFERRED: LiteralString = _RECEIVE + "SELECT id AS pk, " + _defer_job("id", "NULL") + " FROM made"

COMPLETE: LiteralString = """
WITH done AS (
    UPDATE conversations_chatrequest
    SET state = 'completed', finished_at = clock_timestamp(), lease_expires_at = NULL,
        first_chunk_at = clock_timestamp() - make_interval(secs => %(since_first_chunk)s::float8),
        has_audio = has_audio OR %(has_audio)s
    WHERE id = %(pk)s AND state = 'running' AND attempt_number = %(attempt)s
    RETURNING id, project_id, stored, deleted_at IS NULL AS wanted
), answer AS (
    INSERT INTO conversations_completion (
        request_id, project_id, response_id, model, created, stored, finish_reasons, tool_call_ids, service_tier,
        answer_hashes, refused, price_version,
        usage_source, usage_flawed, prompt_tokens, completion_tokens, total_tokens, cached_tokens, cache_write_tokens,
        reasoning_tokens, prompt_text_tokens, prompt_audio_tokens, prompt_image_tokens, completion_audio_tokens
    ) SELECT id, project_id, %(response_id)s, %(model)s, %(created)s, stored, %(finish_reasons)s, %(tool_call_ids)s,
        %(service_tier)s, CASE WHEN wanted THEN %(answer_hashes)s::uuid[] ELSE '{}' END, %(refused)s, '',
        %(usage_source)s, %(usage_flawed)s, %(prompt_tokens)s, %(completion_tokens)s,
        %(total_tokens)s, %(cached_tokens)s, %(cache_write_tokens)s, %(reasoning_tokens)s, %(prompt_text_tokens)s,
        %(prompt_audio_tokens)s, %(prompt_image_tokens)s, %(completion_audio_tokens)s
    FROM done
), kept AS (
    UPDATE conversations_body SET response_body = %(response_body)s FROM done WHERE request_id = done.id AND wanted
), tried AS (
    UPDATE conversations_attempt SET finished_at = clock_timestamp(), outcome = 'completed'
    FROM done WHERE request_id = done.id AND number = %(attempt)s
)
SELECT id AS pk FROM done
"""

FAIL: LiteralString = """
WITH done AS (
    UPDATE conversations_chatrequest
    SET state = 'failed', finished_at = clock_timestamp(), lease_expires_at = NULL, reason = %(reason)s,
        error_status = %(error_status)s, error_type = %(error_type)s, error_code = %(error_code)s,
        error_param = %(error_param)s, error_message = CASE WHEN deleted_at IS NULL THEN %(error_message)s ELSE '' END
    WHERE id = %(pk)s AND state = 'running' AND attempt_number = %(attempt)s
    RETURNING id, deleted_at IS NULL AS wanted
), kept AS (
    UPDATE conversations_body SET response_body = %(answer)s FROM done
    WHERE request_id = done.id AND wanted AND %(answer)s::bytea IS NOT NULL
), tried AS (
    UPDATE conversations_attempt SET finished_at = clock_timestamp(), outcome = 'failed', reason = %(reason)s
    FROM done WHERE request_id = done.id AND number = %(attempt)s
)
SELECT id AS pk FROM done
"""

CLAIM: LiteralString = """
WITH claimed AS (
    UPDATE conversations_chatrequest
    SET state = 'running', attempt_number = attempt_number + 1,
        started_at = coalesce(started_at, clock_timestamp()),
        lease_expires_at = clock_timestamp() + make_interval(secs => %(lease)s::float8)
    WHERE id = %(pk)s AND mode = 'deferred' AND state IN ('queued', 'running')
        AND (state = 'queued' OR lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
    RETURNING id, request_id, project_id, surface, attempt_number, deleted_at
), tried AS (
    INSERT INTO conversations_attempt (request_id, number, worker, started_at, outcome, reason)
    SELECT id, attempt_number, %(worker)s, clock_timestamp(), '', '' FROM claimed
)
SELECT claimed.id AS pk, claimed.request_id, project_id AS project_pk, surface, attempt_number AS attempt, request_body,
    (SELECT count(*) FROM conversations_attempt a WHERE a.request_id = claimed.id AND a.outcome <> 'released') AS tries
FROM claimed LEFT JOIN conversations_body body ON body.request_id = claimed.id AND claimed.deleted_at IS NULL
"""

RENEW_LEASE: LiteralString = """
UPDATE conversations_chatrequest SET lease_expires_at = clock_timestamp() + make_interval(secs => %(lease)s::float8)
WHERE id = %(pk)s AND state = 'running' AND attempt_number = %(attempt)s
RETURNING id AS pk
"""

HAND_BACK: LiteralString = (
    """
WITH freed AS (
    UPDATE conversations_chatrequest SET lease_expires_at = NULL
    WHERE id = %(pk)s AND state = 'running' AND attempt_number = %(attempt)s
    RETURNING id
), tried AS (
    UPDATE conversations_attempt SET finished_at = clock_timestamp(), outcome = %(outcome)s, reason = %(reason)s
    FROM freed WHERE request_id = freed.id AND number = %(attempt)s
)
SELECT id AS pk, """
    + _defer_job("id", "clock_timestamp() + make_interval(secs => %(delay)s::float8)")
    + " FROM freed"
)

ENQUEUE_ABANDONED: LiteralString = (
    """
SELECT count("""
    + _defer_job("id", "NULL")
    + """) FROM conversations_chatrequest r
WHERE mode = 'deferred' AND state IN ('queued', 'running')
    AND (lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
    AND NOT EXISTS (
        SELECT FROM procrastinate_jobs j
        WHERE j.status = 'todo' AND j.task_name = %(task)s AND j.args = jsonb_build_object('request_pk', r.id)
    )
"""
)

FAIL_ABANDONED: LiteralString = """
UPDATE conversations_chatrequest
SET state = 'failed', finished_at = clock_timestamp(), lease_expires_at = NULL, reason = 'gateway_lost',
    error_status = 500, error_type = 'server_error', error_code = 'internal_error',
    error_message = 'The server stopped before the answer was complete.'
WHERE mode <> 'deferred' AND state = 'running' AND lease_expires_at < clock_timestamp()
"""

TO_ENRICH: LiteralString = """
SELECT r.id AS pk, received_at, content_kept AND deleted_at IS NULL AS searchable,
    c.request_id IS NOT NULL AS answered, coalesce(nullif(c.model, ''), r.model) AS model, service_tier, prompt_tokens,
    completion_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, prompt_audio_tokens,
    prompt_image_tokens, completion_audio_tokens,
    coalesce(octet_length(request_body), 0) + coalesce(octet_length(response_body), 0) AS size
FROM conversations_chatrequest r
LEFT JOIN conversations_completion c ON c.request_id = r.id
LEFT JOIN conversations_body b ON b.request_id = r.id
WHERE NOT enriched AND state IN ('completed', 'failed', 'cancelled', 'expired')
ORDER BY r.id LIMIT %(limit)s
FOR UPDATE OF r SKIP LOCKED
"""

READ_BODIES: LiteralString = """
SELECT request_id AS pk, request_body, response_body FROM conversations_body WHERE request_id = ANY(%(pks)s)
"""

KEEP_TEXT: LiteralString = """
INSERT INTO conversations_searchtext (request_id, said, grams) VALUES (%(pk)s, %(said)s, %(grams)s)
"""

KEEP_COST: LiteralString = """
UPDATE conversations_completion SET cost = priced.cost, price_version = %(price_version)s
FROM unnest(%(pks)s::bigint[], %(costs)s::numeric[]) AS priced (pk, cost) WHERE request_id = priced.pk
"""

MARK_ENRICHED: LiteralString = "UPDATE conversations_chatrequest SET enriched = true WHERE id = ANY(%(pks)s)"
