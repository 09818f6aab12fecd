"""The pages in a real browser: by keyboard, without JavaScript, at 320 pixels, for every reader."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect
from pytest_playwright_axe import OPTIONS_WCAG_22AA, Axe

from conversations.models import Body, ChatRequest
from tests.dashboard.browser import sign_in, watched
from tests.factories import make_completed, make_failed, make_request, make_request_body, make_response_body

pytestmark = pytest.mark.django_db(transaction=True)

CALL = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": '{"order_id": "A-1042"}'}}
MESSAGES = [
    {"role": "system", "content": "You find orders."},
    {"role": "user", "content": "어제 주문한 A-1042 배송이 어디쯤인가요?"},
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"state": "in_transit"}'},
]
ANSWER = (
    "It is **on its way**.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```\nlong "
    + "x" * 200
    + "\n```\n[more](https://example.org)"
)


@pytest.fixture
def seen(page, context, live_server, admin_user):
    """A page of a signed-in reader, watched."""
    page.set_default_timeout(10_000)
    sign_in(context, live_server.url, admin_user)
    yield from watched(page, live_server.url)


@pytest.fixture
def records(project):
    """A record of every sort, by the address of a page that shows it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    body = {"choices": [choice]}
    done = make_completed(
        project,
        request_body=make_request_body(messages=MESSAGES),
        response_body=make_response_body(**body, id="chatcmpl-done"),
    )
    deferred = make_completed(
        project, mode="deferred", response_body=make_response_body(**body, id="chatcmpl-deferred")
    )
    pending, failed = make_request(project), make_failed(project)
    bare = make_completed(project, stored=False, content_kept=False)
    for _ in range(2):
        make_completed(project, is_sample=True, response_body=make_response_body(id="chatcmpl-same"))
    return {
        "home": "/",
        "several": "/lookup/?id=chatcmpl-same",
        "miss": "/lookup/?id=req_unknown",
        "deferred": f"/deferred/?request_id={deferred.request_id}",
        "pending": f"/deferred/?request_id={pending.request_id}",
        "stored": "/stored/?response_id=chatcmpl-done",
        "conversation": f"/requests/{done.request_id}",
        "fields": f"/requests/{done.request_id}?tab=fields",
        "response": f"/requests/{done.request_id}?tab=response",
        "timeline": f"/requests/{failed.request_id}?tab=timeline",
        "failed": f"/requests/{failed.request_id}",
        "bare": f"/requests/{bare.request_id}",
        "404": "/nothing",
    }


def test_a_conversation_is_found_by_keyboard_alone(seen, live_server, records):
    seen.goto(live_server.url + records["timeline"])
    seen.keyboard.press("/")
    seen.keyboard.type('"chatcmpl-done"')
    seen.keyboard.press("Enter")
    expect(seen).to_have_url(live_server.url + records["conversation"])
    expect(seen.locator("article").last).to_contain_text("It is on its way.")


def test_a_miss_on_the_first_page_appears_in_place_and_a_hit_leads_on(seen, live_server, records):
    seen.goto(live_server.url)
    seen.keyboard.type("req_unknown")
    seen.keyboard.press("Enter")
    expect(seen.locator("#miss")).to_contain_text("Nothing was ever seen with this ID.")
    expect(seen).to_have_url(live_server.url + "/lookup/?id=req_unknown")
    seen.locator("#any-id").fill("chatcmpl-done")
    seen.keyboard.press("Enter")
    expect(seen).to_have_url(live_server.url + records["conversation"])


def test_a_pending_result_appears_by_itself(seen, live_server, project):
    record = make_request(project)
    seen.goto(f"{live_server.url}/deferred/?request_id={record.request_id}")
    expect(seen.locator("#pending")).to_contain_text("queued")
    done = make_completed(project, mode="deferred")
    answer = Body.objects.get(pk=done.pk).response_body
    Body.objects.filter(pk=record.pk).update(response_body=answer)
    ChatRequest.objects.filter(pk=record.pk).update(state="completed", finished_at=timezone.now())
    expect(seen.locator(".turn.assistant")).to_contain_text("말을 주고받는 일입니다.")
    expect(seen).to_have_title(re.compile("^✓"))
    expect(seen.locator("#announcement")).to_have_text("The result is ready.")
    expect(seen.locator("#pending")).to_have_count(0)


def test_everything_works_without_javascript(browser, live_server, records, admin_user):
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, live_server.url, admin_user)
    page = context.new_page()
    page.goto(live_server.url)
    page.locator("#any-id").fill("chatcmpl-done")
    page.get_by_role("button", name="Look up").click()
    expect(page).to_have_url(live_server.url + records["conversation"])
    page.get_by_role("link", name="Fields").click()
    expect(page.get_by_role("row").filter(has_text="usage.total_tokens")).to_contain_text("31")
    page.get_by_role("link", name="Stored lookup").click()
    page.get_by_label("Response ID").fill("chatcmpl-done")
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("table.fields")).to_contain_text("choices[0].message.content")
    page.goto(live_server.url + records["pending"])
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("#pending")).to_contain_text("queued")
    context.close()


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_exact_json_is_copied_with_and_without_a_clipboard(seen, context, live_server, records, clipboard):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not clipboard:
        seen.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    seen.goto(live_server.url + records["response"])
    seen.get_by_role("button", name="Copy JSON").click()
    expect(seen.locator("#announcement")).to_have_text("Copied")
    exact = bytes(Body.objects.get(request__completion__response_id="chatcmpl-done").response_body or b"").decode()
    if clipboard:
        assert seen.evaluate("navigator.clipboard.readText()") == exact
    assert seen.locator("#response-exact").text_content() == exact


def test_an_expired_session_leads_to_the_sign_in_page_whole(seen, context, live_server, project):
    record = make_request(project)
    seen.goto(f"{live_server.url}/deferred/?request_id={record.request_id}")
    context.clear_cookies(name="sessionid")
    expect(seen.locator("form.sign-in")).to_be_visible()
    assert f"request_id%3D{record.request_id}" in seen.url


def test_a_server_that_is_away_is_told_and_forgotten_when_it_is_back(page, context, live_server, admin_user, project):
    sign_in(context, live_server.url, admin_user)
    page.goto(f"{live_server.url}/deferred/?request_id={make_request(project).request_id}")
    context.set_offline(True)
    expect(page.locator("#trouble")).to_contain_text("The server cannot be reached.")
    context.set_offline(False)
    expect(page.locator("#trouble")).to_be_hidden()


def test_theme_and_language_are_chosen_in_the_menu(seen, live_server, records):
    seen.goto(live_server.url + records["conversation"])
    seen.locator(".menu summary").click()
    seen.get_by_role("button", name="Dark").click()
    expect(seen.locator("html")).to_have_attribute("data-theme", "dark")
    seen.locator(".menu summary").click()
    seen.get_by_role("button", name="한국어").click()
    expect(seen.locator("html")).to_have_attribute("lang", "ko")
    expect(seen).to_have_url(live_server.url + records["conversation"])


def test_stored_content_drives_nothing(seen, live_server, project):
    attack = '<i hx-get="/logout/" hx-trigger="load">x</i><script>window.hit=1</script>![x](https://evil.example/x.png)'
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": attack, "refusal": attack},
        "finish_reason": attack,
    }
    messages = [{"role": "user", "content": attack, "name": attack}]
    record = make_completed(
        project,
        request_body=make_request_body(messages=messages),
        response_body=make_response_body(choices=[choice]),
        preview=attack,
    )
    for path in ("", "?tab=fields", "?tab=request", "?tab=response"):
        seen.goto(f"{live_server.url}/requests/{record.request_id}{path}")
        assert seen.evaluate("window.hit") is None
    seen.goto(live_server.url)


@pytest.mark.parametrize("language", ["en", "ko", "zh-hans"])
def test_no_page_scrolls_sideways_at_320_pixels(seen, context, live_server, records, language):
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    seen.set_viewport_size({"width": 320, "height": 640})
    for name, path in records.items():
        seen.goto(live_server.url + path)
        assert seen.evaluate("document.documentElement.scrollWidth") <= 320, name


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_meets_wcag_2_2_aa(seen, context, live_server, records, language, scheme):
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    seen.emulate_media(color_scheme=scheme)
    for name, path in records.items():
        seen.goto(live_server.url + path)
        assert _faults(seen) == [], name
    seen.locator(".menu summary").click()
    assert _faults(seen) == []
    context.clear_cookies()
    seen.goto(f"{live_server.url}/login/")
    assert _faults(seen) == []


def _faults(page):
    """What axe finds on a page: each rule with the elements that break it."""
    found = Axe().run(page, options=OPTIONS_WCAG_22AA, html_report_generated=False, json_report_generated=False)
    return [(fault["id"], [node["html"][:150] for node in fault["nodes"]]) for fault in found["violations"]]


def test_every_stop_of_the_tab_key_can_be_seen(seen, live_server, records):
    seen.goto(live_server.url + records["conversation"])
    for _ in range(25):
        seen.keyboard.press("Tab")
        outline = seen.evaluate(
            "(() => { const e = document.activeElement, b = e.closest('.box') ?? e, r = e.getBoundingClientRect();"
            " return [getComputedStyle(b).outlineStyle, e === document.body || r.height === 0 || r.bottom > 0] })()"
        )
        assert outline[0] != "none" or seen.evaluate("document.activeElement === document.body")
        assert outline[1]
