"""The rows. Columns exist for what is searched, listed or summed; a body's bytes are the truth.

Bodies stand in a table of their own (``Body``), wide and cold: nothing that lists, filters or sums
touches it. The gateway and the workers write these tables with the statements of
``services.statements``; these classes own the schema and serve every read. What is searched for in texts
(``SearchText``) and what is summed (``UsageRollup``) is filled after a request's end, off the commit path.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import MD5, Now
from django.utils.translation import gettext_lazy as _

from conversations.querysets import ApiKeyQuerySet, ChatRequestQuerySet, ProjectQuerySet

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def _token_sum(name: "StrOrPromise") -> "models.DecimalField[int | None, int | None]":
    # Two counts of 64 bits are already more than 64 bits.
    return models.DecimalField(name, max_digits=38, decimal_places=0, null=True, blank=True)


class Project(models.Model):
    """Whom records belong to. A project sees its own records; another's do not exist for it."""

    class Content(models.TextChoices):
        """When the content of an ordinary call is kept; usage and metadata always are."""

        AS_ASKED = "as_asked", _("when the client asks for it")
        ALWAYS = "always", _("always")

    slug = models.SlugField(_("slug"), unique=True)
    content = models.CharField(_("content kept"), max_length=16, choices=Content, default=Content.AS_ASKED)
    deferred_read_once = models.BooleanField(
        _("deferred results are handed out once"),
        default=False,
        help_text=_("A deferred result can be fetched exactly once, within 24 hours, as xAI does it."),
    )
    retention_days = models.PositiveIntegerField(_("retention in days"), default=30)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("slug",)
        verbose_name = _("project")
        verbose_name_plural = _("projects")

    def __str__(self) -> str:
        return self.slug


class ApiKey(models.Model):
    """A project's API key: shown once, kept as a SHA-256 digest, found by its prefix."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="api_keys", verbose_name=_("project"))
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    digest = models.BinaryField(_("SHA-256 digest"), max_length=32, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ChatRequest(models.Model):
    """What a client asked, and how far it has come. The state moves one way only."""

    class Surface(models.TextChoices):
        """The door that the request came through."""

        OPENAI = "openai", "/v1"
        AZURE = "azure", "/models"
        IMPORTED = "imported", _("imported")

    class Mode(models.TextChoices):
        """How the client wanted its answer."""

        PLAIN = "plain", _("plain")
        STREAM = "stream", _("stream")
        DEFERRED = "deferred", _("deferred")

    class State(models.TextChoices):
        """``received → queued → running → completed | failed | cancelled | expired``."""

        RECEIVED = "received", _("received")
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")
        EXPIRED = "expired", _("expired")

    FINAL_STATES = (State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED)

    request_id = models.CharField(_("request ID"), max_length=64, unique=True)
    project = models.ForeignKey(Project, models.PROTECT, related_name="requests", verbose_name=_("project"))
    api_key = models.ForeignKey(
        ApiKey, models.SET_NULL, null=True, blank=True, related_name="requests", verbose_name=_("API key")
    )
    surface = models.CharField(_("surface"), max_length=16, choices=Surface)
    mode = models.CharField(_("mode"), max_length=16, choices=Mode)
    model = models.TextField(_("model"), blank=True)
    end_user = models.TextField(_("user"), blank=True, help_text=_("The user that the client named in its request."))
    metadata = models.JSONField(_("metadata"), default=dict)
    preview = models.TextField(_("last user message"), blank=True, help_text=_("Its first characters."))
    stored = models.BooleanField(_("stored"), default=False, help_text=_("The client asked with store: true."))
    content_kept = models.BooleanField(_("content kept"), default=False)
    is_sample = models.BooleanField(_("sample"), default=False)
    has_images = models.BooleanField(_("has images"), default=False, db_default=False)
    has_audio = models.BooleanField(
        _("has audio"), default=False, db_default=False, help_text=_("In the request or in the answer.")
    )
    prefix_hashes = ArrayField(
        models.UUIDField(),
        verbose_name=_("conversation hashes"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("One for each answer that the messages continue, where the content is kept."),
    )
    enriched = models.BooleanField(
        _("enriched"),
        default=False,
        db_default=False,
        help_text=_("Its text can be searched for and its usage is in the sums."),
    )

    state = models.CharField(_("state"), max_length=16, choices=State, default=State.RECEIVED)
    reason = models.CharField(_("reason"), max_length=64, blank=True)
    error_status = models.PositiveSmallIntegerField(_("error status"), null=True, blank=True)
    error_type = models.TextField(_("error type"), blank=True)
    error_code = models.TextField(_("error code"), blank=True)
    error_param = models.TextField(_("error parameter"), blank=True)
    error_message = models.TextField(_("error message"), blank=True)

    attempt_number = models.PositiveSmallIntegerField(_("attempts"), default=0)
    lease_expires_at = models.DateTimeField(_("lease expires"), null=True, blank=True)

    received_at = models.DateTimeField(_("received at"), db_default=Now())
    queued_at = models.DateTimeField(_("queued at"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    first_chunk_at = models.DateTimeField(_("first chunk at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    fetched_at = models.DateTimeField(_("first fetched at"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True)

    objects = ChatRequestQuerySet.as_manager()

    class Meta:
        ordering = ("-received_at", "-pk")
        verbose_name = _("chat request")
        verbose_name_plural = _("chat requests")
        indexes = [
            models.Index(fields=["project", "-received_at", "-id"], name="request_newest_first"),
            # Who sees several projects reads them as one list.
            models.Index(fields=["-received_at", "-id"], name="request_newest_of_all"),
            models.Index(
                fields=["lease_expires_at"],
                condition=models.Q(state__in=["queued", "running"]),
                name="request_unfinished",
            ),
            models.Index(fields=["is_sample"], condition=models.Q(is_sample=True), name="request_samples"),
            GinIndex(fields=["metadata"], opclasses=["jsonb_path_ops"], name="request_metadata"),
            GinIndex(fields=["prefix_hashes"], name="request_prefix_hashes"),
            models.Index(
                fields=["id"],
                condition=models.Q(enriched=False, state__in=["completed", "failed", "cancelled", "expired"]),
                name="request_to_enrich",
            ),
            # What no rollup has summed yet, also of requests that still run.
            models.Index(fields=["received_at"], condition=models.Q(enriched=False), name="request_not_summed"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["received", "queued", "running", "completed", "failed", "cancelled", "expired"]
                ),
                name="request_state_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True)
                ^ models.Q(state__in=["completed", "failed", "cancelled", "expired"]),
                name="request_finished_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return self.request_id

    @property
    def is_final(self) -> bool:
        """Whether the state will not change any more."""
        return self.state in self.FINAL_STATES


class Attempt(models.Model):
    """One try of a worker at a deferred request. Its number fences the writers that come too late."""

    class Outcome(models.TextChoices):
        """How the attempt ended; a lost one was superseded before it said anything."""

        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        RETRIED = "retried", _("to be tried again")
        RELEASED = "released", _("handed back")

    request = models.ForeignKey(ChatRequest, models.CASCADE, related_name="attempts", verbose_name=_("request"))
    number = models.PositiveSmallIntegerField(_("number"))
    worker = models.TextField(_("worker"), blank=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome, blank=True)
    reason = models.CharField(_("reason"), max_length=64, blank=True)

    class Meta:
        ordering = ("number",)
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [models.UniqueConstraint(fields=["request", "number"], name="attempt_number_is_unique")]

    def __str__(self) -> str:
        return f"{self.request_id}#{self.number}"


class Completion(models.Model):
    """What came back for a request: its response ID, finish reasons and usage (in tokens)."""

    class UsageSource(models.TextChoices):
        """Where the token counts come from."""

        UPSTREAM = "upstream", _("reported by the upstream")
        MISSING = "missing", _("missing")

    request = models.OneToOneField(
        ChatRequest, models.CASCADE, primary_key=True, related_name="completion", verbose_name=_("request")
    )
    project = models.ForeignKey(Project, models.PROTECT, related_name="+", verbose_name=_("project"))
    response_id = models.TextField(_("response ID"))
    model = models.TextField(_("model"))
    created = models.BigIntegerField(_("created"), help_text=_("Unix seconds, as the upstream said it."))
    stored = models.BooleanField(_("stored"), default=False)
    finish_reasons = ArrayField(models.TextField(), verbose_name=_("finish reasons"), default=list)
    tool_call_ids = ArrayField(models.TextField(), verbose_name=_("tool call IDs"), default=list)
    service_tier = models.TextField(_("service tier"), blank=True)
    answer_hashes = ArrayField(
        models.UUIDField(),
        verbose_name=_("answer hashes"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("One for each choice: the conversation up to it, where the content is kept."),
    )
    refused = models.BooleanField(
        _("refused"), default=False, db_default=False, help_text=_("A choice holds a refusal.")
    )

    usage_source = models.CharField(_("usage source"), max_length=16, choices=UsageSource)
    usage_flawed = models.BooleanField(
        _("usage flawed"), default=False, help_text=_("The upstream reported a count that cannot be one.")
    )
    prompt_tokens = models.BigIntegerField(_("prompt tokens"), null=True, blank=True)
    completion_tokens = models.BigIntegerField(_("completion tokens"), null=True, blank=True)
    total_tokens = models.BigIntegerField(_("total tokens"), null=True, blank=True)
    cached_tokens = models.BigIntegerField(_("cached tokens"), null=True, blank=True)
    cache_write_tokens = models.BigIntegerField(_("cache write tokens"), null=True, blank=True)
    reasoning_tokens = models.BigIntegerField(_("reasoning tokens"), null=True, blank=True)
    prompt_text_tokens = models.BigIntegerField(_("prompt text tokens"), null=True, blank=True)
    prompt_audio_tokens = models.BigIntegerField(_("prompt audio tokens"), null=True, blank=True)
    prompt_image_tokens = models.BigIntegerField(_("prompt image tokens"), null=True, blank=True)
    completion_audio_tokens = models.BigIntegerField(_("completion audio tokens"), null=True, blank=True)
    cost = models.DecimalField(
        _("cost"),
        max_digits=20,
        decimal_places=10,
        null=True,
        blank=True,
        help_text=_("In US dollars; empty where the price or the usage is not known."),
    )
    price_version = models.TextField(
        _("price version"),
        default="",
        db_default="",
        blank=True,
        help_text=_("The price list that the cost was worked out with, and its date."),
    )

    class Meta:
        verbose_name = _("chat completion")
        verbose_name_plural = _("chat completions")
        indexes = [
            # Not unique: an upstream may repeat itself, and an answer that was paid for is kept all the same.
            models.Index(fields=["project", "response_id"], name="completion_response_id"),
            models.Index(
                fields=["project", "created", "request"],
                condition=models.Q(stored=True),
                name="completion_stored_in_order",
            ),
            GinIndex(fields=["tool_call_ids"], name="completion_tool_call_ids"),
            GinIndex(fields=["answer_hashes"], name="completion_answer_hashes"),
        ]

    def __str__(self) -> str:
        return self.response_id


class Body(models.Model):
    """The exact bytes of a request and of its answer, where the content is kept.

    ``request_body`` is what the client sent, ``response_body`` what came back (for a stream: what its
    chunks fold into). What failed keeps what the upstream sent instead, if anything.
    """

    request = models.OneToOneField(
        ChatRequest, models.CASCADE, primary_key=True, related_name="body", verbose_name=_("request")
    )
    request_body = models.BinaryField(_("request body"))
    response_body = models.BinaryField(_("response body"), null=True)

    class Meta:
        verbose_name = _("body")
        verbose_name_plural = _("bodies")

    def __str__(self) -> str:
        return f"body of {self.request_id}"


class SearchText(models.Model):
    """What was said in a request and its answer, as far as the content is kept, and the grams that find it.

    ``said`` is in Unicode's NFKC form with its case kept; ``grams`` are those of ``wire.grams``.
    """

    request = models.OneToOneField(
        ChatRequest, models.CASCADE, primary_key=True, related_name="search_text", verbose_name=_("request")
    )
    said = models.TextField(_("said"))
    grams = ArrayField(models.TextField(), verbose_name=_("grams"))

    class Meta:
        verbose_name = _("search text")
        verbose_name_plural = _("search texts")
        indexes = [GinIndex(fields=["grams"], name="search_text_grams")]

    def __str__(self) -> str:
        return f"search text of {self.request_id}"


class UsageRollup(models.Model):
    """The usage of one UTC hour's requests that have all these dimensions in common, less the samples.

    It sums exactly the requests that are ``enriched``. ``model`` is the one that answered (else the one that was
    asked for), ``failures`` the failed and expired ones, ``missing`` the completions without usage and ``priced``
    those whose cost is known. A sum is NULL where no record had such a count: nothing known is not nothing used.
    """

    hour = models.DateTimeField(_("hour"))
    project = models.ForeignKey(Project, models.PROTECT, related_name="+", verbose_name=_("project"))
    api_key = models.ForeignKey(
        ApiKey, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("API key")
    )
    model = models.TextField(_("model"), blank=True)
    surface = models.CharField(_("surface"), max_length=16)
    service_tier = models.TextField(_("service tier"), blank=True)
    end_user = models.TextField(_("user"), blank=True)

    requests = models.BigIntegerField(_("requests"))
    completions = models.BigIntegerField(_("completions"))
    failures = models.BigIntegerField(_("failures"))
    missing = models.BigIntegerField(_("missing usage"))
    priced = models.BigIntegerField(_("priced"))
    duration_ms = models.BigIntegerField(_("duration in milliseconds"), help_text=_("Of the completions, together."))
    duration_max_ms = models.BigIntegerField(_("longest duration in milliseconds"))
    prompt_tokens = _token_sum(_("prompt tokens"))
    completion_tokens = _token_sum(_("completion tokens"))
    total_tokens = _token_sum(_("total tokens"))
    cached_tokens = _token_sum(_("cached tokens"))
    cache_write_tokens = _token_sum(_("cache write tokens"))
    reasoning_tokens = _token_sum(_("reasoning tokens"))
    prompt_text_tokens = _token_sum(_("prompt text tokens"))
    prompt_audio_tokens = _token_sum(_("prompt audio tokens"))
    prompt_image_tokens = _token_sum(_("prompt image tokens"))
    completion_audio_tokens = _token_sum(_("completion audio tokens"))
    cost = models.DecimalField(_("cost"), max_digits=30, decimal_places=10, null=True, blank=True)

    class Meta:
        verbose_name = _("usage rollup")
        verbose_name_plural = _("usage rollups")
        constraints = [
            # A user's name alone may be almost as long as an index's row may be.
            models.UniqueConstraint(
                "project",
                "hour",
                "api_key",
                "model",
                "surface",
                "service_tier",
                MD5("end_user"),
                nulls_distinct=False,
                name="usage_rollup_is_one_a_cell",
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%dT%H} {self.model}"


class SavedView(models.Model):
    """A search under a name: its owner's own, or shown to everybody who signs in."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_views", verbose_name=_("owner")
    )
    name = models.CharField(_("name"), max_length=100)
    query = models.TextField(_("query string"), blank=True)
    is_shared = models.BooleanField(_("shared"), default=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        ordering = ("name", "pk")
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_view_name_is_unique")]

    def __str__(self) -> str:
        return self.name
