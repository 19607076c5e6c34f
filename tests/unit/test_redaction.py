"""Credentials are hidden, by their place in an address and by what they are."""

import logging

import pytest

from dlq.config.settings import Settings
from dlq.redaction import RedactingFilter, conceal, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://user:hunter2secret@host:1/0", "redis://user:***@host:1/0"),
        ("https://h/x?token=abc&b=1", "https://h/x?token=***&b=1"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_addresses_lose_their_passwords(text: str, shown: str) -> None:
    """By their place, without knowing the password."""
    assert redact(text) == shown


def test_settings_conceal_what_they_hold() -> None:
    """Tokens, passwords of addresses, decoded or not, and the tokens of apprise addresses, wherever they turn up."""
    Settings.model_validate(
        {
            "redis_url": "redis://:p%40ssw0rd-canary@localhost:6379/0",
            "slack_token": "xoxb-canary-1",
            "notify_urls": "discord://webhook-canary-123/token-canary-456 mailto://me:mail-canary-7@example.org",
            "status_page_url": "https://hooks.example.org/services/T0/canarycanarycanarycanary",
        }
    )
    text = (
        "p@ssw0rd-canary p%40ssw0rd-canary xoxb-canary-1 token-canary-456 webhook-canary-123 mail-canary-7"
        " canarycanarycanarycanary"
    )
    assert redact(text) == " ".join(["***"] * 7)
    assert (
        redact("localhost example.org hooks.example.org services") == "localhost example.org hooks.example.org services"
    )


def test_the_address_for_display_keeps_its_host() -> None:
    """What people need to see of an address stays."""
    settings = Settings.model_validate({"redis_url": "redis://me:display-canary@redis.internal:6379/0"})
    assert settings.redacted == "redis://me:***@redis.internal:6379/0"
    assert Settings().redacted == "redis://localhost:6379/0"


def test_a_longer_secret_is_hidden_whole() -> None:
    """When one secret begins another, nothing of the longer one is left."""
    conceal("canary-short", "canary-short-and-long")
    assert redact("x canary-short-and-long y") == "x *** y"


def test_a_short_word_is_not_hidden_everywhere() -> None:
    """A password of four letters is hidden by its place; as a word it may be part of anything."""
    conceal("redis://:abcd@localhost/0", "efgh")
    assert redact("abcd efgh redis://:abcd@localhost/0") == "abcd efgh redis://:***@localhost/0"


def test_a_loggers_records_are_redacted(caplog: pytest.LogCaptureFixture) -> None:
    """The filter sees the whole message, with its arguments."""
    logger = logging.getLogger("test.redaction")
    logger.addFilter(RedactingFilter())
    with caplog.at_level(logging.INFO, "test.redaction"):
        logger.info("GET %s", "https://me:very-secret@host/")
    assert caplog.messages == ["GET https://me:***@host/"]
