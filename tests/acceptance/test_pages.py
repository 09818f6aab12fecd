"""The two lookup pages in a browser, on conversations that real clients had."""

from typing import Any

import pytest
from openai import OpenAI
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.acceptance.deferring import Holder
from tests.live import ADMIN, LiveServer, told


@pytest.fixture
def reader(page: Page, live: LiveServer) -> Page:
    """A page of somebody who has signed in by the form."""
    sign_in(page, live)
    return page


def sign_in(page: Page, live: LiveServer) -> None:
    """Fill in the form."""
    page.set_default_timeout(10_000)
    page.goto(f"{live.origin}/login/")
    page.get_by_label("User").fill(ADMIN[0])
    page.get_by_label("Password").fill(ADMIN[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{live.origin}/")


def without_javascript(browser: Browser, live: LiveServer) -> BrowserContext:
    """A signed-in browser without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    sign_in(context.new_page(), live)
    return context


def test_a_pending_deferred_conversation_turns_into_its_result_by_itself(reader: Page, live: LiveServer) -> None:
    request_id = Holder(live).defer(told(content="때가 되었습니다", delay=3))
    reader.goto(f"{live.origin}/deferred/")
    reader.get_by_label("Conversation ID").fill(f' "{request_id}" ')
    reader.get_by_role("button", name="Look up").click()
    expect(reader.locator("#pending")).to_be_visible()
    expect(reader.locator(".turn.assistant")).to_contain_text("때가 되었습니다", timeout=20_000)
    expect(reader.locator("table.fields")).to_contain_text("usage.prompt_tokens_details.cached_tokens")
    expect(reader.locator("#pending")).to_have_count(0)


def test_a_failed_deferred_conversation_says_why(reader: Page, live: LiveServer) -> None:
    holder = Holder(live)
    request_id = holder.defer(told(fail={"status": 400, "message": "the prompt is too long"}))
    holder.wait(request_id)
    reader.goto(f"{live.origin}/deferred/?request_id={request_id}")
    expect(reader.locator(".notice.bad")).to_contain_text("the prompt is too long")


def test_a_stored_conversation_is_found_by_its_response_id(reader: Page, live: LiveServer, client: OpenAI) -> None:
    tool = [{"id": "call_page", "name": "weather", "arguments": '{"city": "서울"}'}]
    created = client.chat.completions.create(
        model="scripted", messages=told(tool_calls=tool), store=True, metadata={"team": "a"}, stream=True
    )
    response_id = next(iter(list(created))).id
    reader.goto(f"{live.origin}/stored/")
    reader.get_by_label("Response ID").fill(response_id)
    reader.get_by_role("button", name="Look up").click()
    expect(reader.locator(".call")).to_contain_text("weather")
    expect(reader.locator("table.fields")).to_contain_text('{"team":"a"}')
    assert reader.url == f"{live.origin}/stored/?response_id={response_id}"


def test_both_lookups_work_without_javascript(browser: Browser, live: LiveServer, client: OpenAI) -> None:
    holder = Holder(live)
    context = without_javascript(browser, live)
    page = context.pages[0]
    page.get_by_role("link", name="Deferred lookup").click()
    request_id = holder.defer(told(content="늦은 답", delay=1.5), store=True)
    page.get_by_label("Conversation ID").fill(request_id)
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#pending")).to_be_visible()
    response_id = holder.wait(request_id).json()["id"]
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator(".turn.assistant")).to_contain_text("늦은 답")
    page.get_by_role("link", name="Stored lookup").click()
    page.get_by_label("Response ID").fill(response_id)
    page.get_by_role("button", name="Look up").click()
    expect(page.locator(".turn.assistant")).to_contain_text("늦은 답")
    context.close()


def test_misses_say_why(reader: Page, live: LiveServer, client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    unstored = client.chat.completions.create(model="scripted", messages=messages).id
    deleted = client.chat.completions.create(model="scripted", messages=messages, store=True).id
    client.chat.completions.delete(deleted)
    for response_id, words in ((unstored, "not stored"), (deleted, "was deleted"), ("chatcmpl-x", "ever seen")):
        reader.goto(f"{live.origin}/stored/?response_id={response_id}")
        expect(reader.locator("#miss")).to_contain_text(words)


def test_a_foreign_hand_finds_no_page_without_signing_in(page: Page, live: LiveServer) -> None:
    request_id = Holder(live).defer()
    page.goto(f"{live.origin}/deferred/?request_id={request_id}")
    expect(page.locator("form.sign-in")).to_be_visible()
    assert "next=/deferred/" in page.url
