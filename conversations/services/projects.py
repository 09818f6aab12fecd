"""Makes and changes projects (sync)."""

import re

from conversations.errors import BadRequestError
from conversations.models import Project


def get_or_create_project(slug: str) -> Project:
    """The project with this slug, made with the default settings where it is missing.

    Raises ``BadRequestError`` for a slug with other characters than ``a-z A-Z 0-9 - _``, or of more than 50.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,50}", slug):
        raise BadRequestError(
            "A project's slug has 1 to 50 characters: letters, digits, hyphens and underscores.", param="slug"
        )
    return Project.objects.get_or_create(slug=slug)[0]


def configure_project(slug: str, *, deferred_read_once: bool | None = None) -> Project:
    """Change the project's settings (None leaves one as it is), making the project where it is missing."""
    project = get_or_create_project(slug)
    if deferred_read_once is not None:
        project.deferred_read_once = deferred_read_once
        project.save(update_fields=["deferred_read_once"])
    return project
