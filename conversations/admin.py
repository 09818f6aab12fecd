"""The back office: projects and keys, and a look at the records without their content."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from conversations.models import ApiKey, ChatRequest, Completion, Project


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes none at run time
    """Projects and what they keep."""

    list_display = ("slug", "content", "deferred_read_once", "retention_days", "created_at")
    search_fields = ("slug",)
    readonly_fields = ("created_at",)
    show_full_result_count = False


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes none at run time
    """Keys by their prefix. A secret is shown once, by the command that makes it, and never here."""

    list_display = ("name", "prefix", "project", "created_at", "revoked_at")
    list_filter = ("project",)
    list_select_related = ("project",)
    search_fields = ("=prefix", "name")
    readonly_fields = ("project", "prefix", "created_at")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A key made here would have no secret."""
        return False


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes none at run time
    """A record to look at: the program alone writes it."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Records come from clients."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Records say what happened."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Totals would no longer be true."""
        return False


@admin.register(ChatRequest)
class ChatRequestAdmin(RecordAdmin):
    """Requests, without what they say."""

    list_display = ("request_id", "project", "surface", "mode", "model", "state", "reason", "received_at")
    list_filter = ("state", "mode", "surface", "project")
    list_select_related = ("project",)
    search_fields = ("=request_id",)
    exclude = ("preview",)


@admin.register(Completion)
class CompletionAdmin(RecordAdmin):
    """Completions and their usage."""

    list_display = ("response_id", "project", "model", "usage_source", "total_tokens")
    list_filter = ("usage_source", "project")
    list_select_related = ("project",)
    search_fields = ("=response_id",)
    ordering = ("-pk",)
