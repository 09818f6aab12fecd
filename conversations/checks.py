"""System checks of what Daehwa needs from its database."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections


@register(Tags.database)
def check_korean_is_text(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where the database's character classes know no Korean: searches there would match every row."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT '한' ~ '[[:alpha:]]'")
            (knows_korean,) = cursor.fetchone()
        if not knows_korean:
            found.append(
                Warning(
                    f"The database {alias!r} does not see Korean or Chinese characters as letters.",
                    hint="Create it with --lc-ctype=C.UTF-8 or another UTF-8 character type.",
                    id="conversations.W001",
                )
            )
    return found


@register(Tags.database)
def check_statements_stay_out_of_the_log(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where a failed statement would write a prompt into PostgreSQL's own log."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_setting('log_error_verbosity'), current_setting('log_min_error_statement')")
            verbosity, level = cursor.fetchone()
        if verbosity != "terse" or level not in {"fatal", "panic"}:
            found.append(
                Warning(
                    f"PostgreSQL's log of the database {alias!r} can receive parts of prompts when a statement fails.",
                    hint="ALTER SYSTEM SET log_error_verbosity = terse; "
                    "ALTER SYSTEM SET log_min_error_statement = panic; SELECT pg_reload_conf();",
                    id="conversations.W002",
                )
            )
    return found
