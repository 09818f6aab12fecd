"""What a fresh database needs before anyone can use it (sync)."""

import secrets
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction

from conversations.models import Project
from conversations.services.keys import create_api_key

DEFAULT_PROJECT = "default"
ADMIN_NAME = "admin"


@dataclass(frozen=True)
class FirstRun:
    """What was made: the administrator's password and an API key, both shown once."""

    password: str = field(repr=False)
    key: str = field(repr=False)


@transaction.atomic
def prepare_first_run() -> FirstRun | None:
    """Make the project ``default``, an administrator and an API key; None when somebody did already."""
    if Project.objects.exists() or User.objects.exists():
        return None
    project = Project.objects.create(slug=DEFAULT_PROJECT)
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(ADMIN_NAME, password=password)
    _, key = create_api_key(project, "first key")
    return FirstRun(password, key)
