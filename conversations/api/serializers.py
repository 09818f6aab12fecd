"""The shapes of ``/api``: what a record says about itself, without its bodies. All times are UTC."""

import datetime as dt
from typing import Any

from django.db import models
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.models import ApiKey, ChatRequest, Completion
from conversations.services.usage import TOKEN_COLUMNS


class UtcDateTimeField(serializers.DateTimeField):
    """A time in UTC, whatever the server's own zone is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=dt.UTC, **kwargs)


class RowSerializer[Row: models.Model](serializers.ModelSerializer[Row]):
    """A row, read only, with its times in UTC."""

    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.DateTimeField: UtcDateTimeField
    }


class ApiKeySerializer(RowSerializer[ApiKey]):
    """An API key as far as it may be shown."""

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = ("prefix", "name")
        read_only_fields: tuple[str, ...] = fields


class ErrorSerializer(serializers.Serializer[ChatRequest]):
    """Why a request failed, in the words that the client got."""

    status = serializers.IntegerField(source="error_status")
    type = serializers.CharField(source="error_type")
    code = serializers.CharField(source="error_code")
    param = serializers.CharField(source="error_param")
    message = serializers.CharField(source="error_message")


class UsageSerializer(RowSerializer[Completion]):
    """Token counts as the upstream reported them; null where it did not."""

    source = serializers.ChoiceField(choices=Completion.UsageSource.choices, source="usage_source")  # type: ignore[assignment]
    flawed = serializers.BooleanField(source="usage_flawed", help_text="A reported count could not be one.")

    class Meta:
        model = Completion
        fields: tuple[str, ...] = ("source", "flawed", *TOKEN_COLUMNS)
        read_only_fields: tuple[str, ...] = fields


class AnswerSerializer(RowSerializer[Completion]):
    """What came back for a request."""

    usage = UsageSerializer(source="*")

    class Meta:
        model = Completion
        fields: tuple[str, ...] = (
            "response_id",
            "model",
            "created",
            "stored",
            "finish_reasons",
            "tool_call_ids",
            "service_tier",
            "usage",
        )
        read_only_fields: tuple[str, ...] = fields


class ChatRequestSerializer(RowSerializer[ChatRequest]):
    """What a client asked, how far it has come, and where its bodies are."""

    project = serializers.CharField(source="project.slug")
    api_key = ApiKeySerializer(allow_null=True)
    user = serializers.CharField(source="end_user")
    metadata = serializers.DictField(child=serializers.CharField())
    error = serializers.SerializerMethodField()
    attempts = serializers.IntegerField(source="attempt_number")
    expires_at = UtcDateTimeField(help_text="When it can no longer be read.")
    request_body = serializers.SerializerMethodField(help_text="Address of its exact bytes; null if not kept.")
    response_body = serializers.SerializerMethodField(help_text="Address of its exact bytes; null if not kept.")

    class Meta:
        model = ChatRequest
        fields: tuple[str, ...] = (
            "request_id",
            "project",
            "api_key",
            "surface",
            "mode",
            "state",
            "reason",
            "error",
            "model",
            "user",
            "metadata",
            "preview",
            "stored",
            "content_kept",
            "is_sample",
            "attempts",
            "received_at",
            "queued_at",
            "started_at",
            "first_chunk_at",
            "finished_at",
            "fetched_at",
            "expires_at",
            "request_body",
            "response_body",
        )
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, request: ChatRequest) -> dict[str, Any] | None:
        """What the client was told, for a request that failed."""
        return None if request.error_status is None else ErrorSerializer(request).data

    def get_request_body(self, request: ChatRequest) -> str | None:
        """The path of the request's bytes."""
        return self._address_of("api_request_body", request) if request.content_kept else None

    def get_response_body(self, request: ChatRequest) -> str | None:
        """The path of the response's bytes."""
        kept = request.content_kept and request.is_final
        return self._address_of("api_response_body", request) if kept else None

    @staticmethod
    def _address_of(name: str, request: ChatRequest) -> str:
        return reverse(name, kwargs={"request_id": request.request_id})


class RequestSerializer(ChatRequestSerializer):
    """A request and what came back for it, if anything."""

    completion = serializers.SerializerMethodField()

    class Meta(ChatRequestSerializer.Meta):
        fields: tuple[str, ...] = (*ChatRequestSerializer.Meta.fields, "completion")
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(AnswerSerializer(allow_null=True))
    def get_completion(self, request: ChatRequest) -> dict[str, Any] | None:
        """What came back."""
        return AnswerSerializer(request.completion).data if hasattr(request, "completion") else None


class CompletionSerializer(AnswerSerializer):
    """A completion and the request that it answers."""

    request = ChatRequestSerializer()

    class Meta(AnswerSerializer.Meta):
        fields: tuple[str, ...] = (*AnswerSerializer.Meta.fields, "request")
        read_only_fields: tuple[str, ...] = fields


class FoundCompletionSerializer(CompletionSerializer):
    """The newest completion with an ID, and how many there are."""

    matches = serializers.IntegerField(help_text="Records with this response ID; more than 1 if the upstream repeats.")

    class Meta(CompletionSerializer.Meta):
        fields: tuple[str, ...] = ("matches", *CompletionSerializer.Meta.fields)
        read_only_fields: tuple[str, ...] = fields


class RequestPageSerializer(serializers.Serializer[Any]):
    """One page of requests."""

    data = RequestSerializer(many=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class CompletionPageSerializer(serializers.Serializer[Any]):
    """One page of completions."""

    data = CompletionSerializer(many=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class LookupSerializer(serializers.Serializer[Any]):
    """Where an ID leads."""

    id = serializers.CharField(help_text="The ID that was found in what was sent.")
    matched_on = serializers.ChoiceField(choices=("request_id", "response_id", "tool_call_id"))
    matches = serializers.IntegerField(help_text="Records with this ID; 'request' is the newest.")
    request = RequestSerializer()


class UsageSumSerializer(serializers.Serializer[dict[str, Any]]):
    """Sums over some requests. A sum in tokens is null where no record has such a count."""

    requests = serializers.IntegerField()
    completions = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Completions whose usage is not known.")

    def get_fields(self) -> dict[str, Any]:
        """One sum for each token count that is kept."""
        sums = {column: serializers.IntegerField(allow_null=True) for column in TOKEN_COLUMNS}
        return super().get_fields() | sums


class UsageGroupSerializer(UsageSumSerializer):
    """The sums of one group: of a day, a model or an API key, as was asked."""

    day = serializers.DateField(required=False, help_text="UTC")
    model = serializers.CharField(required=False, source="answered_by")
    key = serializers.SerializerMethodField(required=False)
    project = serializers.CharField(required=False, source="project_slug")

    @extend_schema_field(ApiKeySerializer(allow_null=True, required=False))
    def get_key(self, group: dict[str, Any]) -> dict[str, Any] | None:
        """The API key; null for requests that came without one."""
        return {"prefix": group["key_prefix"], "name": group["key_name"]} if group.get("key_prefix") else None

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """The group, without the keys of other groupings."""
        shown = super().to_representation(instance)
        if "key_prefix" not in instance:
            del shown["key"]
        return shown


class UsageReviewSerializer(serializers.Serializer[Any]):
    """Usage by day, model or API key."""

    group_by = serializers.CharField()
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    groups = UsageGroupSerializer(many=True)
    total = UsageSumSerializer()
