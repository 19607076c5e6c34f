"""The `[policy]` table: how it is read, how a queue's own part goes over it, and quiet hours."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dlq.config.policy_table import CheckName, Policy, Rule
from dlq.config.settings import load_settings
from dlq.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """Give a moment in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.fixture
def toml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Name a configuration file that the settings are read from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "dlq.toml"


def test_a_queue_says_only_what_differs(toml: Path) -> None:
    """Its own rules win, tables are merged by their keys, and everything else is the common policy's."""
    toml.write_text(
        """
        [policy]
        approval_timeout = "1h"
        unattended_levels = [1]
        preflight = {fix = "refuse", memory = "warn"}
        [queues.webhooks.policy]
        preflight = {memory = "off"}
        unattended_levels = [1, 2, 3]
        [queues.jobs]
        """
    )
    settings = load_settings()
    webhooks, jobs = settings.policy_of("webhooks"), settings.policy_of("jobs")
    assert webhooks.approval_timeout == jobs.approval_timeout == timedelta(hours=1)
    assert (webhooks.unattended_levels, jobs.unattended_levels) == ((1, 2, 3), (1,))
    assert webhooks.rule(CheckName.FIX) == Rule.REFUSE
    assert (webhooks.rule(CheckName.MEMORY), jobs.rule(CheckName.MEMORY)) == (Rule.OFF, Rule.WARN)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('quiet_hours = "at night"', "22:00-06:00"),
        ('quiet_hours = "22:00-22:00"', "22:00-06:00"),
        ('approval_timeout = "soon"', "30m"),
        ("success_falls = 0", "success_falls"),
        ('preflight = {wether = "off"}', "preflight"),
        ("unatended_levels = [1]", "unknown key"),
    ],
)
def test_what_cannot_be_meant_is_refused(toml: Path, line: str, said: str) -> None:
    """The message names the key and says what to write instead."""
    toml.write_text(f"[policy]\n{line}\n")
    with pytest.raises(ConfigError, match=said):
        load_settings()


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ("22:00-06:00", "2026-11-25T23:30", "2026-11-26T06:00"),
        ("22:00-06:00", "2026-11-25T05:59", "2026-11-25T06:00"),
        ("22:00-06:00", "2026-11-25T06:00", None),
        ("09:00-17:00", "2026-11-25T12:00", "2026-11-25T17:00"),
        ("09:00-17:00", "2026-11-25T18:00", None),
    ],
)
def test_quiet_hours_end_on_the_right_day(hours: str, now: str, until: str | None) -> None:
    """Over midnight too; the end itself is no longer quiet."""
    quiet = Policy.model_validate({"quiet_hours": hours}).quiet_hours
    assert quiet is not None
    assert quiet.until(at(now)) == (at(until) if until else None)


def test_a_person_who_drains_blindly_is_warned() -> None:
    """Failed checks refuse a run that watches or that nobody watches; a person's fixed pace they only warn of."""
    policy = Policy()
    assert policy.rule(CheckName.CONSUMERS) == Rule.REFUSE
    assert policy.rule(CheckName.CONSUMERS, watched=False) == Rule.WARN
    assert Policy(blind=Rule.REFUSE).rule(CheckName.CONSUMERS, watched=False) == Rule.REFUSE
    assert policy.rule(CheckName.FIX) == Rule.WARN
