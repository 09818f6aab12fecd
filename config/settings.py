"""All settings, read from the environment. A malformed variable stops the start with one clear sentence."""

import fcntl
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()  # type: ignore[no-untyped-call]


def read_number(name: str, default: float, *, least: float = 0) -> float:
    """A number from the environment, at least ``least``."""
    # Not env.float, which drops what is no digit: it reads "5 s" as 5 and "1e3" as 13.
    written = env.str(name, default=str(default))
    try:
        number = float(written)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number, not {written!r}.") from error
    if not number >= least or number == float("inf"):
        raise ImproperlyConfigured(f"{name} must be at least {least:g}, not {written!r}.")
    return number


def read_integer(name: str, default: int, *, least: int = 0) -> int:
    """A whole number from the environment, at least ``least``."""
    number = read_number(name, default, least=least)
    if number != int(number):
        raise ImproperlyConfigured(f"{name} must be a whole number, not {env.str(name)!r}.")
    return int(number)


def read_switch(name: str, *, default: bool) -> bool:
    """``on``/``off`` (also true/false, yes/no, 1/0) from the environment."""
    word = env.str(name, default="on" if default else "off").strip().lower()
    if word not in {"on", "off", "true", "false", "yes", "no", "1", "0"}:
        raise ImproperlyConfigured(f"{name} must be on or off, not {word!r}.")
    return word in {"on", "true", "yes", "1"}


def read_choice(name: str, default: str, choices: Collection[str], hint: str) -> str:
    """One of several words from the environment."""
    word: str = env.str(name, default=default)
    if word not in choices:
        raise ImproperlyConfigured(f"{name} must be {hint}, not {word!r}.")
    return word


def read_choices(name: str, default: list[str], choices: Collection[str]) -> list[str]:
    """Some of several words from the environment, with commas between them."""
    words: list[str] = env.list(name, default=default)
    for word in words:
        if word not in choices:
            raise ImproperlyConfigured(f"{name} must be some of {', '.join(choices)}, not {word!r}.")
    return words


def read_verbatim(name: str) -> str:
    """A secret as it stands: django-environ takes a leading ``$`` for the name of another variable."""
    return str(env.ENVIRON.get(name, ""))


def read_header_value(name: str) -> str:
    """A secret that can stand in an HTTP header: printable ASCII without spaces; empty when unset."""
    secret = read_verbatim(name)
    if not (secret.isascii() and secret.isprintable() and " " not in secret):
        raise ImproperlyConfigured(f"{name} must be printable ASCII without spaces.")
    return secret


def read_base_url(name: str) -> str:
    """An ``http(s)://`` URL without user information, query or trailing slash; empty when unset."""
    url = env.str(name, default="").strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ImproperlyConfigured(
            f"{name} must be an http or https URL such as https://api.openai.com/v1, without user, query or fragment."
        )
    return url.rstrip("/")


def read_secret_key(data_dir: Path) -> str:
    """``SECRET_KEY``, or one that is made once and kept in the data directory."""
    key = read_verbatim("SECRET_KEY")
    if key:
        return key
    try:
        return keep_secret_key(data_dir / "secret_key")
    except OSError as error:
        raise ImproperlyConfigured(f"The data directory {data_dir} cannot be used: {error.strerror}.") from error


def keep_secret_key(path: Path) -> str:
    """The key in this file, which is made when it is missing or empty. Processes that start together agree on one."""
    if path.exists() and (key := path.read_text()):
        return key
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        key = file.read()
        if not key:
            key = get_random_secret_key()
            file.write(key)
    return key


def read_database() -> dict[str, Any]:
    """Django's database settings out of ``DATABASE_URL``, with a connection pool."""
    if not env.str("DATABASE_URL", default=""):
        raise ImproperlyConfigured("DATABASE_URL is not set. (manage.py starts an embedded PostgreSQL when it is not.)")
    try:
        usable = urlsplit(env.str("DATABASE_URL")).scheme in {"postgres", "postgresql"}
        database: dict[str, Any] = env.db_url("DATABASE_URL") if usable else {}
    except ValueError:
        database = {}
    if not database.get("NAME"):
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user:password@host:5432/name.")
    options = database.setdefault("OPTIONS", {})
    # Bound on the server, so that a failed statement does not carry a prompt as a literal.
    options["server_side_binding"] = True
    options["pool"] = {"min_size": 1, "max_size": read_integer("DATABASE_POOL_SIZE", 10, least=1), "timeout": 5}
    options.setdefault("connect_timeout", 5)
    database["CONN_MAX_AGE"] = 0
    database["CONN_HEALTH_CHECKS"] = True
    return database


DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / ".data"))).resolve()

SECRET_KEY = read_secret_key(DATA_DIR)
DEBUG = read_switch("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
HTTPS = read_switch("HTTPS", default=False)

# What we call, and how long we wait for it (seconds, bytes).
UPSTREAM_BASE_URL = read_base_url("UPSTREAM_BASE_URL")
UPSTREAM_API_KEY = read_header_value("UPSTREAM_API_KEY")
UPSTREAM_MODEL = env.str("UPSTREAM_MODEL", default="")
UPSTREAM_PROVIDER = env.str("UPSTREAM_PROVIDER", default="")
UPSTREAM_MODALITIES = read_choices("UPSTREAM_MODALITIES", ["text"], ("text", "audio"))
UPSTREAM_STORES = read_switch("UPSTREAM_STORES", default=False)
UPSTREAM_CONNECT_TIMEOUT = read_number("UPSTREAM_CONNECT_TIMEOUT", 5, least=0.1)
UPSTREAM_FIRST_BYTE_TIMEOUT = read_number("UPSTREAM_FIRST_BYTE_TIMEOUT", 60, least=0.1)
UPSTREAM_IDLE_TIMEOUT = read_number("UPSTREAM_IDLE_TIMEOUT", 60, least=0.1)
UPSTREAM_TOTAL_TIMEOUT = read_number("UPSTREAM_TOTAL_TIMEOUT", 600, least=0.1)
MAX_REQUEST_BYTES = read_integer("MAX_REQUEST_BYTES", 32 * 2**20, least=1024)
MAX_ANSWER_BYTES = read_integer("MAX_ANSWER_BYTES", 32 * 2**20, least=1024)
STREAM_HEARTBEAT_SECONDS = read_number("STREAM_HEARTBEAT_SECONDS", 15, least=0.1)

# Deferred conversations (seconds).
WORKER_CONCURRENCY = read_integer("WORKER_CONCURRENCY", 8, least=2)
WORKER_STOP_TIMEOUT = read_number("WORKER_STOP_TIMEOUT", 8)
DEFERRED_LEASE_SECONDS = read_number("DEFERRED_LEASE_SECONDS", 10, least=1)
DEFERRED_MAX_ATTEMPTS = read_integer("DEFERRED_MAX_ATTEMPTS", 3, least=1)

DATABASES = {"default": read_database()}

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

INSTALLED_APPS = [
    "conversations",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "procrastinate.contrib.django",
]

MIDDLEWARE = [
    "conversations.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "conversations.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGES = [("en", "English"), ("ko", "한국어"), ("zh-hans", "简体中文")]
LANGUAGE_CODE = read_choice("LANGUAGE_CODE", "en", dict(LANGUAGES), "en, ko or zh-hans")
TIME_ZONE = read_choice("TIME_ZONE", "UTC", available_timezones(), "a time zone such as Asia/Seoul")
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
# WhiteNoise serves the packages' own files from where they are installed: nothing is collected.
STATIC_ROOT = None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# Bodies of the routes that Django serves; the gateway counts its own.
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES

SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "media-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "object-src": [CSP.NONE],
}
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["conversations.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "conversations.api.exceptions.answer_in_dialect",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Daehwa",
    "DESCRIPTION": _("Stored and deferred LLM conversations, found again by their IDs."),
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# The worker builds its own queue application; Django only owns the tables.
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = ""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {
        "handlers": ["stderr"],
        "level": read_choice("LOG_LEVEL", "INFO", LOG_LEVELS, "one of " + ", ".join(LOG_LEVELS)),
    },
    # A line per job would repeat what the record says.
    "loggers": {
        "procrastinate": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
