"""``manage.py create_api_key``: a new key, printed once."""

from typing import Any

from django.core.management.base import CommandParser

from conversations.management.base import DaehwaCommand
from conversations.services.keys import create_api_key
from conversations.services.projects import get_or_create_project


class Command(DaehwaCommand):
    """Prints a new API key as the only line on stdout."""

    help = "Make an API key for a project (made if it is missing) and print it: it is shown only now."

    def add_arguments(self, parser: CommandParser) -> None:
        """``NAME --project SLUG``."""
        parser.add_argument("name", help="What the key is for.")
        parser.add_argument("--project", required=True, metavar="SLUG", help="The project that it opens.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it and print it."""
        _, key = create_api_key(get_or_create_project(options["project"]), options["name"])
        self.stdout.write(key)
