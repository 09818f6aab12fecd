"""What a browser shows beside the page itself: refused styles and scripts, and requests to elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@dataclass
class Watch:
    """What went wrong in a page while it was watched."""

    host: str
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def see_request(self, request: Request) -> None:
        """Note a request that leaves this server."""
        if urlsplit(request.url).netloc not in {self.host, ""}:
            self.elsewhere.append(request.url)

    def see_message(self, message: ConsoleMessage) -> None:
        """Note an error in the console; a page that is meant to be a 404 says so there as well."""
        if message.type == "error" and "404 (Not Found)" not in message.text:
            self.errors.append(message.text)


def sign_in(context: BrowserContext, origin: str, user: User) -> None:
    """Give the browser the session of a signed-in user."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": origin}])


def watched(page: Page, origin: str) -> Iterator[Page]:
    """The page, and afterwards the proof that nothing was refused and nothing went elsewhere."""
    watch = Watch(urlsplit(origin).netloc)
    page.on("request", watch.see_request)
    page.on("console", watch.see_message)
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    page.add_init_script(VIOLATIONS)
    yield page
    assert page.evaluate("window.violations") == []
    assert (watch.elsewhere, watch.errors) == ([], [])
