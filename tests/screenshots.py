"""Writes the pictures of the main pages into docs/screenshots/: ``make screenshots``.

Not a test, but run by pytest for its database and its browser: real traffic through the real server, spread
over the last days, with the samples beside it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI
from playwright.sync_api import Browser, Page

from tests.live import ADMIN, LiveServer
from tests.scripted_upstream import ScriptedUpstream

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "screenshots"

QUESTIONS = [
    ("gpt-4o", "어제 주문한 A-1042 배송이 어디쯤인가요?"),
    ("grok-4", "분기 보고서 초안을 다섯 문단으로 써 주세요. 표는 빼고 요점만 정리해 주세요."),
    ("gpt-4o-mini", "Summarise the attached incident report in three sentences."),
    ("gpt-4o", "请把下面的合同条款翻译成韩语,并保持编号。"),
    ("grok-4", "What changed between the two API versions?"),
    ("gpt-4o-mini", "환불 규정을 고객에게 설명하는 메일을 써 주세요."),
    ("gpt-4o", "Explain Riemann's conjecture to a ten-year-old."),
]
ROUNDS = 24

SPREAD = """
UPDATE conversations_chatrequest r
SET received_at = received_at - moved, started_at = started_at - moved, finished_at = finished_at - moved
FROM (SELECT id, make_interval(secs => pow(row_number() OVER (ORDER BY id DESC), 1.6) * 900) AS moved
      FROM conversations_chatrequest WHERE NOT is_sample) AS m
WHERE r.id = m.id
"""

SHELL_LOADS_SAMPLES = "from conversations.services.samples import load_samples; load_samples()"

PAGES = {
    "home": "/",
    "conversations": "/conversations/",
    "deferred_lookup": "/deferred/?request_id={deferred}",
    "stored_lookup": "/stored/?response_id=chatcmpl-B0sampleStored0000000000000",
    "conversation": "/completions/kgousajxgzyhugvqekuswuqbk-tool",
    "usage": "/usage/",
}


@pytest.fixture
def live(scripted_upstream: ScriptedUpstream) -> Iterator[LiveServer]:
    """A server with a month of traffic."""
    with LiveServer(scripted_upstream.url, worker=False) as live:
        client = OpenAI(base_url=f"{live.origin}/v1", api_key=live.key)
        for model, question in QUESTIONS * ROUNDS:
            client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": question}], store=True, user="user-1042"
            )
        live.query(SPREAD + " RETURNING 1")
        live.run_command("shell", "-c", SHELL_LOADS_SAMPLES)
        live.start_worker()
        yield live


def test_pictures(live: LiveServer, browser: Browser) -> None:
    """One picture a page in English, and the conversation in Korean on a phone in the dark."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    (deferred,) = live.query("SELECT request_id FROM conversations_chatrequest WHERE mode = 'deferred'")[0]
    page = signed_in(browser, live, locale="en", width=1280, dark=False)
    page.wait_for_timeout(4000)  # the worker fills costs and sums
    for name, path in PAGES.items():
        page.goto(live.origin + path.format(deferred=deferred))
        page.wait_for_load_state("networkidle")
        page.screenshot(path=PICTURES / f"{name}.png", clip={"x": 0, "y": 0, "width": 1280, "height": 900})
    page = signed_in(browser, live, locale="ko", width=390, dark=True)
    page.goto(f"{live.origin}/completions/chatcmpl-B0sampleStored0000000000000")
    page.screenshot(path=PICTURES / "conversation-korean-dark.png")


def signed_in(browser: Browser, live: LiveServer, *, locale: str, width: int, dark: bool) -> Page:
    """A page of a browser in which the administrator is signed in."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(
        locale=locale, viewport={"width": width, "height": 900}, color_scheme=scheme, timezone_id="Asia/Seoul"
    )
    page = context.new_page()
    page.goto(f"{live.origin}/login/")
    page.fill("[name=username]", ADMIN[0])
    page.fill("[name=password]", ADMIN[1])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{live.origin}/")
    return page
