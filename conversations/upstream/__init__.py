"""The one way out: an async client for an OpenAI-compatible server, and the one place that names its failures."""

from conversations.upstream.answers import Answer, AnswerStream
from conversations.upstream.client import UpstreamClient, UpstreamSettings
from conversations.upstream.failures import failure_in_answer

__all__ = ["Answer", "AnswerStream", "UpstreamClient", "UpstreamSettings", "failure_in_answer"]
