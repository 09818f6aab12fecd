"""The SQL that sums requests into cells: one UTC hour of one project, key, model, surface, service tier and user.

Whoever fills cells (async) and whoever checks or moves them (sync) uses the same sums, so that they cannot differ.
"""

from typing import LiteralString

HOLD_SUMS: LiteralString = "SELECT pg_advisory_xact_lock_shared(hashtext('conversations_usagerollup'))"
"""Taken by each transaction that adds to cells: all of them may at once."""

REPLACE_SUMS: LiteralString = "SELECT pg_advisory_xact_lock(hashtext('conversations_usagerollup'))"
"""Taken by a transaction that sums cells anew: nobody adds meanwhile."""

DIMENSIONS: LiteralString = "hour, project_id, api_key_id, model, surface, service_tier, end_user"
"""The columns of ``conversations_usagerollup`` that make a cell."""

_SUMS: LiteralString = (
    "requests, completions, failures, missing, priced, duration_ms, duration_max_ms, prompt_tokens, completion_tokens, "
    "total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, prompt_text_tokens, prompt_audio_tokens, "
    "prompt_image_tokens, completion_audio_tokens, cost"
)

_CELLS: LiteralString = """
SELECT date_trunc('hour', received_at, 'UTC') AS hour, r.project_id, api_key_id,
    coalesce(nullif(c.model, ''), r.model) AS model, surface, coalesce(service_tier, '') AS service_tier, end_user,
    count(*) AS requests, count(c.request_id) AS completions,
    count(*) FILTER (WHERE state IN ('failed', 'expired')) AS failures,
    count(*) FILTER (WHERE usage_source = 'missing') AS missing, count(cost) AS priced,
    coalesce(sum(milliseconds) FILTER (WHERE c.request_id IS NOT NULL), 0)::bigint AS duration_ms,
    coalesce(max(milliseconds) FILTER (WHERE c.request_id IS NOT NULL), 0) AS duration_max_ms,
    sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
    sum(total_tokens) AS total_tokens, sum(cached_tokens) AS cached_tokens,
    sum(cache_write_tokens) AS cache_write_tokens, sum(reasoning_tokens) AS reasoning_tokens,
    sum(prompt_text_tokens) AS prompt_text_tokens, sum(prompt_audio_tokens) AS prompt_audio_tokens,
    sum(prompt_image_tokens) AS prompt_image_tokens, sum(completion_audio_tokens) AS completion_audio_tokens,
    sum(cost) AS cost
FROM conversations_chatrequest r
LEFT JOIN conversations_completion c ON c.request_id = r.id
CROSS JOIN LATERAL (SELECT (extract(epoch FROM finished_at - received_at) * 1000)::bigint AS milliseconds) took
WHERE NOT is_sample AND """
_BY_CELL: LiteralString = " GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7"

_ADD: LiteralString = "INSERT INTO conversations_usagerollup AS kept (" + DIMENSIONS + ", " + _SUMS + ") "
# Where neither of two knows a count, the sum stays NULL.
_TO_WHAT_IS_THERE: LiteralString = """
ON CONFLICT (project_id, hour, api_key_id, model, surface, service_tier, md5(end_user)) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    completions = kept.completions + excluded.completions,
    failures = kept.failures + excluded.failures,
    missing = kept.missing + excluded.missing,
    priced = kept.priced + excluded.priced,
    duration_ms = kept.duration_ms + excluded.duration_ms,
    duration_max_ms = greatest(kept.duration_max_ms, excluded.duration_max_ms),
    prompt_tokens = coalesce(kept.prompt_tokens + excluded.prompt_tokens, kept.prompt_tokens, excluded.prompt_tokens),
    completion_tokens = coalesce(kept.completion_tokens + excluded.completion_tokens, kept.completion_tokens, excluded.completion_tokens),
    total_tokens = coalesce(kept.total_tokens + excluded.total_tokens, kept.total_tokens, excluded.total_tokens),
    cached_tokens = coalesce(kept.cached_tokens + excluded.cached_tokens, kept.cached_tokens, excluded.cached_tokens),
    cache_write_tokens = coalesce(kept.cache_write_tokens + excluded.cache_write_tokens, kept.cache_write_tokens, excluded.cache_write_tokens),
    reasoning_tokens = coalesce(kept.reasoning_tokens + excluded.reasoning_tokens, kept.reasoning_tokens, excluded.reasoning_tokens),
    prompt_text_tokens = coalesce(kept.prompt_text_tokens + excluded.prompt_text_tokens, kept.prompt_text_tokens, excluded.prompt_text_tokens),
    prompt_audio_tokens = coalesce(kept.prompt_audio_tokens + excluded.prompt_audio_tokens, kept.prompt_audio_tokens, excluded.prompt_audio_tokens),
    prompt_image_tokens = coalesce(kept.prompt_image_tokens + excluded.prompt_image_tokens, kept.prompt_image_tokens, excluded.prompt_image_tokens),
    completion_audio_tokens = coalesce(kept.completion_audio_tokens + excluded.completion_audio_tokens, kept.completion_audio_tokens, excluded.completion_audio_tokens),
    cost = coalesce(kept.cost + excluded.cost, kept.cost, excluded.cost)
"""

FOLD: LiteralString = _ADD + _CELLS + "r.id = ANY(%(pks)s)" + _BY_CELL + _TO_WHAT_IS_THERE
"""Adds these requests to their cells. Cells are locked in one order, so that two of these never deadlock."""

_THIS_HOUR: LiteralString = "project_id = %(project_pk)s AND end_user = ANY(%(end_users)s) AND "
FORGET: LiteralString = (
    "DELETE FROM conversations_usagerollup WHERE "
    + _THIS_HOUR
    + "hour = date_trunc('hour', %(at)s::timestamptz, 'UTC')"
)
FOLD_ANEW: LiteralString = (
    _ADD
    + _CELLS
    + "enriched AND r."
    + _THIS_HOUR
    + "received_at >= date_trunc('hour', %(at)s::timestamptz, 'UTC') "
    + "AND received_at < date_trunc('hour', %(at)s::timestamptz, 'UTC') + interval '1 hour'"
    + _BY_CELL
)
"""Sums the cells of these users in the hour of ``at`` anew, after ``FORGET`` under ``REPLACE_SUMS``."""

DIFFERENCES: LiteralString = (
    "WITH counted AS ("
    + _CELLS
    + "enriched"
    + _BY_CELL
    + "), kept AS (SELECT "
    + DIMENSIONS
    + ", "
    + _SUMS
    + " FROM conversations_usagerollup) SELECT to_jsonb(kept), to_jsonb(counted) FROM kept FULL JOIN counted ON "
    "(kept.hour, kept.project_id, kept.model, kept.surface, kept.service_tier, kept.end_user) = "
    "(counted.hour, counted.project_id, counted.model, counted.surface, counted.service_tier, counted.end_user) "
    "AND kept.api_key_id IS NOT DISTINCT FROM counted.api_key_id WHERE kept IS DISTINCT FROM counted"
)
"""The cells whose sums are not those of their records: as they are kept and as they are counted, or NULL."""
