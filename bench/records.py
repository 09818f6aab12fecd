"""A database of its own with many records, for the measurements beside this file.

``python -m bench.search 100000`` and ``python -m bench.usage 100000``. The records are written as the workers leave
them: enriched, with search texts in three languages and rollups.
"""

import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config.postgres import attach

WORDS = {
    "en": [
        f"{a}{b}"
        for a in ["trans", "port", "harb", "read", "morn", "even", "lang", "model", "token", "answ", "quest", "form"]
        for b in ["ing", "er", "ed", "our", "ation", "s", "ly", "al", "ent", "ic"]
    ],
    "ko": [
        a + b
        for a in ["대화", "응답", "요청", "모델", "토큰", "지연", "저장", "조회", "사용", "비용"]
        for b in ["은", "는", "을", "를", "이", "가", "에서", "으로", "하고", "입니다"]
    ],
    "zh": list(
        "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
    ),
}
TEXTS = 3_000
DAYS = 20


@contextmanager
def records(count: int) -> Iterator[None]:
    """Django, on a database with ``count`` records. Nothing else may have set Django up."""
    directory = Path(tempfile.mkdtemp(prefix="daehwa-bench-"))
    directory.chmod(0o755)
    server = attach(directory, durable=False)
    os.environ |= {"DATABASE_URL": server.url, "DATA_DIR": str(directory), "DJANGO_SETTINGS_MODULE": "config.settings"}
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        _fill(count)
        yield
        from django.db import connections

        connections.close_all()
        connections["default"].close_pool()
    finally:
        server.detach()
        shutil.rmtree(directory, ignore_errors=True)


def _texts() -> list[tuple[str, list[str]]]:
    from conversations.wire.grams import grams_of

    chance = random.Random(1)
    texts = []
    for n in range(TEXTS):
        language = ("en", "ko", "zh")[n % 3]
        words = chance.choices(WORDS[language], k=60 if language != "zh" else 200)
        text = ("" if language == "zh" else " ").join(words)
        texts.append((text, grams_of(text)))
    return texts


def _fill(count: int) -> None:
    from django.db import connection

    from conversations.models import Project
    from conversations.services import rollups
    from conversations.wire.grams import grams_of

    project = Project.objects.create(slug="bench", retention_days=3650)
    texts = _texts()
    rare = {"en": "zyzzyva", "ko": "뷁뷁", "zh": "龘靐"}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO conversations_chatrequest (request_id, project_id, surface, mode, model, end_user, metadata, "
            "preview, stored, content_kept, is_sample, state, reason, error_type, error_code, error_param, error_message, "
            "attempt_number, received_at, finished_at, enriched) SELECT 'req_' || n, %s, 'openai', 'plain', 'gpt-4o', "
            "'user' || n %% 5, '{}', 'preview ' || n, true, true, false, CASE WHEN n %% 50 = 0 THEN 'failed' ELSE "
            "'completed' END, '', '', '', '', '', 0, now() - (%s - n) * make_interval(secs => %s::float8 / %s), now(), true "
            "FROM generate_series(1, %s) n",
            [project.pk, count, DAYS * 86_400, count, count],
        )
        cursor.execute(
            "INSERT INTO conversations_completion (request_id, project_id, response_id, model, created, stored, "
            "finish_reasons, tool_call_ids, service_tier, usage_source, usage_flawed, prompt_tokens, completion_tokens, "
            "total_tokens, cost, price_version) SELECT id, project_id, 'chatcmpl-' || id, (ARRAY['gpt-4o','gpt-5',"
            "'grok-4'])[id % 3 + 1], 0, true, '{stop}', '{}', '', 'upstream', false, id % 1000, 10, id % 1000 + 10, "
            "0.001, 'x' FROM conversations_chatrequest WHERE state = 'completed'"
        )
        with cursor.copy("COPY conversations_searchtext (request_id, said, grams) FROM STDIN") as copy:
            copy.set_types(["int8", "text", "text[]"])
            for pk in range(1, count + 1):
                said, grams = texts[pk % TEXTS]
                if pk % (count // 5) == 7:
                    said, grams = f"{said} {' '.join(rare.values())}", grams + grams_of(" ".join(rare.values()))
                copy.write_row((pk, said, grams))
        cursor.execute(rollups.FOLD, {"pks": list(range(1, count + 1))})
        cursor.execute("VACUUM ANALYZE")


def milliseconds(work: Callable[[], Any], times: int = 7) -> float:
    """The median time of ``work``, after one run to warm up."""
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def count_asked(default: int = 100_000) -> int:
    """How many records the command line asks for."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else default
