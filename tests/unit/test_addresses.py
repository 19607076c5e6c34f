"""Addresses with passwords: which are taken, and how they are shown."""

import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from dlq.config.settings import Settings, load_settings
from dlq.errors import ConfigError
from dlq.redaction import redact


@given(
    st.sampled_from(["redis", "rediss", "unix"]),
    st.text(st.sampled_from("jo:/?#@[%= 1"), max_size=3),
    st.text(st.sampled_from("a:/?#@[%= 1"), max_size=3),
    st.text(st.sampled_from("b:/?#@[%= 1"), max_size=3),
)
def test_an_address_that_is_taken_shows_no_password(scheme: str, user: str, before: str, after: str) -> None:
    """However it is spelt: what cannot be hidden is refused, without showing it."""
    url = f"{scheme}://{user}:{before}hunter2{after}@db:6379/0"
    try:
        shown = Settings(redis_url=SecretStr(url), queues={"a": {}}).redacted
    except ValidationError as exc:
        shown = str(exc)
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "url", ["redis://:a/hunter2@db:1/0", "redis://:1/hunter2@db", "redis://j@o:hunter2@db", "redis://db:hunter2/0"]
)
def test_an_address_that_cannot_be_taken_apart_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how to write it, and not what was written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLQ_CONFIG", raising=False)
    monkeypatch.setenv("DLQ_REDIS_URL", url)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    said = "".join(traceback.format_exception(caught.value))
    assert "DLQ_REDIS_URL: cannot be read as an address" in said
    assert "%2F" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://user:p:a@ss@host/0", "redis://user:***@host/0"),
        ("amqp://u:p@a,amqp://u:p@b", "amqp://u:***@a,amqp://u:***@b"),
        ("redis://host/0?db=1&password=x&a=b", "redis://host/0?db=1&password=***&a=b"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("unix:///run/redis.sock?db=0", "unix:///run/redis.sock?db=0"),
        ("no address at all", "no address at all"),
    ],
)
def test_addresses_are_shown_without_their_passwords(text: str, shown: str) -> None:
    """Everything else stays."""
    assert redact(text) == shown
