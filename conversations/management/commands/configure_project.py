"""``manage.py configure_project``: make or change a project."""

from typing import Any

from django.core.management.base import CommandParser

from conversations.management.base import DaehwaCommand
from conversations.services.projects import configure_project


class Command(DaehwaCommand):
    """Makes a project or changes what is given."""

    help = "Make a project, or change the settings that are given."

    def add_arguments(self, parser: CommandParser) -> None:
        """``SLUG [--deferred-read-once on|off]``."""
        parser.add_argument("slug")
        parser.add_argument(
            "--deferred-read-once",
            choices=["on", "off"],
            help="Whether a deferred result can be fetched exactly once, within 24 hours.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Change it and say what it is now."""
        read_once = options["deferred_read_once"]
        project = configure_project(
            options["slug"], deferred_read_once=None if read_once is None else read_once == "on"
        )
        self.stdout.write(f"{project.slug}: deferred_read_once {'on' if project.deferred_read_once else 'off'}")
