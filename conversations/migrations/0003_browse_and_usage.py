"""Search texts, rollups of usage, saved views, and the columns that browsing and threads need."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0002_queue_statistics"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("query", models.TextField(blank=True, verbose_name="query string")),
                ("is_shared", models.BooleanField(default=False, verbose_name="shared")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="created"),
                ),
            ],
            options={
                "verbose_name": "saved view",
                "verbose_name_plural": "saved views",
                "ordering": ("name", "pk"),
            },
        ),
        migrations.CreateModel(
            name="SearchText",
            fields=[
                (
                    "request",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search_text",
                        serialize=False,
                        to="conversations.chatrequest",
                        verbose_name="request",
                    ),
                ),
                ("said", models.TextField(verbose_name="said")),
                (
                    "grams",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), verbose_name="grams"),
                ),
            ],
            options={
                "verbose_name": "search text",
                "verbose_name_plural": "search texts",
            },
        ),
        migrations.CreateModel(
            name="UsageRollup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField(verbose_name="hour")),
                ("model", models.TextField(blank=True, verbose_name="model")),
                ("surface", models.CharField(max_length=16, verbose_name="surface")),
                ("service_tier", models.TextField(blank=True, verbose_name="service tier")),
                ("end_user", models.TextField(blank=True, verbose_name="user")),
                ("requests", models.BigIntegerField(verbose_name="requests")),
                ("completions", models.BigIntegerField(verbose_name="completions")),
                ("failures", models.BigIntegerField(verbose_name="failures")),
                ("missing", models.BigIntegerField(verbose_name="missing usage")),
                ("priced", models.BigIntegerField(verbose_name="priced")),
                (
                    "duration_ms",
                    models.BigIntegerField(
                        help_text="Of the completions, together.", verbose_name="duration in milliseconds"
                    ),
                ),
                ("duration_max_ms", models.BigIntegerField(verbose_name="longest duration in milliseconds")),
                (
                    "prompt_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="prompt tokens"
                    ),
                ),
                (
                    "completion_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="completion tokens"
                    ),
                ),
                (
                    "total_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="total tokens"
                    ),
                ),
                (
                    "cached_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="cached tokens"
                    ),
                ),
                (
                    "cache_write_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="cache write tokens"
                    ),
                ),
                (
                    "reasoning_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="reasoning tokens"
                    ),
                ),
                (
                    "prompt_text_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="prompt text tokens"
                    ),
                ),
                (
                    "prompt_audio_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="prompt audio tokens"
                    ),
                ),
                (
                    "prompt_image_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="prompt image tokens"
                    ),
                ),
                (
                    "completion_audio_tokens",
                    models.DecimalField(
                        blank=True, decimal_places=0, max_digits=38, null=True, verbose_name="completion audio tokens"
                    ),
                ),
                (
                    "cost",
                    models.DecimalField(blank=True, decimal_places=10, max_digits=30, null=True, verbose_name="cost"),
                ),
            ],
            options={
                "verbose_name": "usage rollup",
                "verbose_name_plural": "usage rollups",
            },
        ),
        migrations.AddField(
            model_name="chatrequest",
            name="enriched",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Its text can be searched for and its usage is in the sums.",
                verbose_name="enriched",
            ),
        ),
        migrations.AddField(
            model_name="chatrequest",
            name="has_audio",
            field=models.BooleanField(
                db_default=False, default=False, help_text="In the request or in the answer.", verbose_name="has audio"
            ),
        ),
        migrations.AddField(
            model_name="chatrequest",
            name="has_images",
            field=models.BooleanField(db_default=False, default=False, verbose_name="has images"),
        ),
        migrations.AddField(
            model_name="chatrequest",
            name="prefix_hashes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(),
                blank=True,
                db_default=[],
                default=list,
                help_text="One for each answer that the messages continue, where the content is kept.",
                verbose_name="conversation hashes",
            ),
        ),
        migrations.AddField(
            model_name="completion",
            name="answer_hashes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(),
                blank=True,
                db_default=[],
                default=list,
                help_text="One for each choice: the conversation up to it, where the content is kept.",
                verbose_name="answer hashes",
            ),
        ),
        migrations.AddField(
            model_name="completion",
            name="cost",
            field=models.DecimalField(
                blank=True,
                decimal_places=10,
                help_text="In US dollars; empty where the price or the usage is not known.",
                max_digits=20,
                null=True,
                verbose_name="cost",
            ),
        ),
        migrations.AddField(
            model_name="completion",
            name="price_version",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="The price list that the cost was worked out with, and its date.",
                verbose_name="price version",
            ),
        ),
        migrations.AddField(
            model_name="completion",
            name="refused",
            field=models.BooleanField(
                db_default=False, default=False, help_text="A choice holds a refusal.", verbose_name="refused"
            ),
        ),
        migrations.AddIndex(
            model_name="chatrequest",
            index=django.contrib.postgres.indexes.GinIndex(fields=["prefix_hashes"], name="request_prefix_hashes"),
        ),
        migrations.AddIndex(
            model_name="chatrequest",
            index=models.Index(
                condition=models.Q(("enriched", False), ("state__in", ["completed", "failed", "cancelled", "expired"])),
                fields=["id"],
                name="request_to_enrich",
            ),
        ),
        migrations.AddIndex(
            model_name="chatrequest",
            index=models.Index(
                condition=models.Q(("enriched", False)), fields=["received_at"], name="request_not_summed"
            ),
        ),
        migrations.AddIndex(
            model_name="completion",
            index=django.contrib.postgres.indexes.GinIndex(fields=["answer_hashes"], name="completion_answer_hashes"),
        ),
        migrations.AddField(
            model_name="savedview",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="saved_views",
                to=settings.AUTH_USER_MODEL,
                verbose_name="owner",
            ),
        ),
        migrations.AddIndex(
            model_name="searchtext",
            index=django.contrib.postgres.indexes.GinIndex(fields=["grams"], name="search_text_grams"),
        ),
        migrations.AddField(
            model_name="usagerollup",
            name="api_key",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="conversations.apikey",
                verbose_name="API key",
            ),
        ),
        migrations.AddField(
            model_name="usagerollup",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="conversations.project",
                verbose_name="project",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(fields=("user", "name"), name="saved_view_name_is_unique"),
        ),
        migrations.AddConstraint(
            model_name="usagerollup",
            constraint=models.UniqueConstraint(
                models.F("project"),
                models.F("hour"),
                models.F("api_key"),
                models.F("model"),
                models.F("surface"),
                models.F("service_tier"),
                django.db.models.functions.text.MD5("end_user"),
                name="usage_rollup_is_one_a_cell",
                nulls_distinct=False,
            ),
        ),
        # With the usual hundred the planner takes a common gram for a rare one, and reads half of the table for it.
        migrations.RunSQL(
            sql="ALTER TABLE conversations_searchtext ALTER COLUMN grams SET STATISTICS 500",
            reverse_sql="ALTER TABLE conversations_searchtext ALTER COLUMN grams SET STATISTICS -1",
        ),
    ]
