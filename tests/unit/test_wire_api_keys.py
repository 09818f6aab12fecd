"""API keys as text."""

import hashlib

import pytest

from conversations.wire.api_keys import ALPHABET, PREFIX_LENGTH, new_secret, read_secret


def test_a_new_secret_reads_back_with_its_prefix_and_digest() -> None:
    made = new_secret()
    assert read_secret(made.secret) == made
    assert made.prefix == made.secret[:PREFIX_LENGTH]
    assert made.digest == hashlib.sha256(made.secret.encode()).digest()


def test_every_single_mistyped_character_is_noticed() -> None:
    secret = new_secret().secret
    for position in range(3, len(secret)):
        other = ALPHABET[(ALPHABET.index(secret[position]) + 1) % len(ALPHABET)]
        assert read_secret(secret[:position] + other + secret[position + 1 :]) is None


def test_the_secret_is_in_no_representation() -> None:
    made = new_secret()
    assert made.secret not in repr(made)
    assert made.prefix in repr(made)


def test_two_secrets_share_nothing() -> None:
    secrets = {new_secret().secret for _ in range(1000)}
    assert len({secret[:PREFIX_LENGTH] for secret in secrets}) == len(secrets)


@pytest.mark.parametrize(
    "text", ["", "dw_", "dw_" + "a" * 44, "\0", "dw_é" + "a" * 43, "dw_" + "a" * 1_000_000, "٣" * 47]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    assert read_secret(text) is None


def test_a_secret_with_a_line_end_is_refused() -> None:
    assert read_secret(new_secret().secret + "\n") is None
