"""The addresses of the pages. A page's name here is its view's and its template's."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path, re_path
from django.views.i18n import set_language

from conversations.dashboard.views.bulk_lookup import bulk_lookup
from conversations.dashboard.views.conversations import conversations
from conversations.dashboard.views.diff import diff
from conversations.dashboard.views.exports import conversations_export
from conversations.dashboard.views.home import home
from conversations.dashboard.views.lookup import deferred_lookup, lookup, stored_lookup
from conversations.dashboard.views.preferences import Login, set_preference
from conversations.dashboard.views.replay import replay
from conversations.dashboard.views.requests import (
    attachment,
    completion_detail,
    json_nodes,
    request_body,
    request_copy,
    request_detail,
    request_json,
    response_body,
    thread,
)
from conversations.dashboard.views.saved_views import delete_conversations_view, save_conversations_view
from conversations.dashboard.views.usage import usage, usage_csv, usage_json

urlpatterns = [
    path("", home, name="home"),
    path("conversations/", conversations, name="conversations"),
    re_path(r"^conversations\.(?P<file_format>csv|jsonl)$", conversations_export, name="conversations_export"),
    path("conversations/views/", save_conversations_view, name="save_conversations_view"),
    path("conversations/views/<int:pk>/delete/", delete_conversations_view, name="delete_conversations_view"),
    path("lookup/", lookup, name="lookup"),
    path("lookup/many/", bulk_lookup, name="bulk_lookup"),
    path("deferred/", deferred_lookup, name="deferred_lookup"),
    path("stored/", stored_lookup, name="stored_lookup"),
    path("diff/", diff, name="diff"),
    path("usage/", usage, name="usage"),
    path("usage.csv", usage_csv, name="usage_csv"),
    path("usage.json", usage_json, name="usage_json"),
    path("requests/<str:request_id>/request.json", request_body, name="request_body"),
    path("requests/<str:request_id>/response.json", response_body, name="response_body"),
    path("requests/<str:request_id>/attachments/<path:place>", attachment, name="attachment"),
    path("requests/<str:request_id>/nodes/<str:side>", json_nodes, name="json_nodes"),
    path("requests/<str:request_id>/as/<str:form>", request_copy, name="request_copy"),
    path("requests/<str:request_id>/replay", replay, name="replay"),
    path("requests/<str:request_id>/thread", thread, name="thread"),
    path("requests/<str:request_id>.json", request_json, name="request_json"),
    path("requests/<str:request_id>", request_detail, name="request_detail"),
    path("completions/<path:response_id>", completion_detail, name="completion_detail"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("preferences/<str:name>/", set_preference, name="set_preference"),
    # Also for who is not signed in yet.
    path("i18n/setlang/", login_not_required(set_language), name="set_language"),
]
