"""The first page: the box for any ID, and the newest conversations."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from conversations.dashboard.access import private_page, projects_of
from conversations.models import ChatRequest

NEWEST = 20
"""How many conversations the first page lists."""


@private_page
def home(request: HttpRequest) -> HttpResponse:
    """The newest conversations, or how to send the first one."""
    newest = ChatRequest.objects.in_projects(projects_of(request)).readable().newest_first()
    conversations = list(newest.select_related("completion", "project")[:NEWEST])
    return render(
        request,
        "home.html",
        {"conversations": conversations, "base_url": request.build_absolute_uri("/v1"), "newest": NEWEST},
    )
