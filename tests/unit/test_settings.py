"""The environment and dlq.toml."""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from dlq.config.settings import FieldConfig, QueueConfig, Settings, Thresholds, load_settings
from dlq.errors import ConfigError, UnknownQueueError

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, with no setting set."""
    for name in [name for name in os.environ if name.startswith("DLQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def toml(tmp_path: Path) -> Write:
    """Write dlq.toml."""

    def write(text: str) -> Path:
        file = tmp_path / "dlq.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def problem() -> str:
    """Load the settings and give what is wrong with them."""
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.exit_status == 2
    return str(caught.value)


def test_without_a_file_the_queues_of_the_runbook_are_there() -> None:
    """With its keys, its worker deployments and its thresholds."""
    settings = load_settings()
    assert settings.queues == {
        name: QueueConfig(
            name=name,
            dlq=f"tokpulse:dlq:{name}",
            live=f"tokpulse:{name}",
            quarantine=f"tokpulse:quarantine:{name}",
            workers=workers,
            scale_to=many,
            scale_from=few,
        )
        for name, workers, many, few in (
            ("webhooks", "webhook-workers", 10, 3),
            ("jobs", "job-workers", 5, 2),
            ("experiments", None, None, None),
        )
    }
    webhooks = settings.queue("webhooks")
    assert (webhooks.fields, webhooks.thresholds) == (FieldConfig(), Thresholds())
    assert webhooks.thresholds.model_dump() == {"depth_warn": 1000, "depth_emergency": 10000, "growth_per_minute": 100}
    assert (settings.config, settings.home, settings.reports_folder) == (None, Path(".dlq"), Path(".dlq/reports"))
    assert (settings.ledger_days, settings.lock_seconds, str(settings.zone)) == (30, 30, "UTC")


def test_an_unknown_queue_is_refused_with_the_known_ones() -> None:
    """Nobody has to look for the file."""
    with pytest.raises(UnknownQueueError, match="queue webhook, known experiments, jobs, webhooks"):
        load_settings().queue("webhook")


def test_five_lines_point_at_a_queue_of_ones_own(toml: Write) -> None:
    """What is not said follows the prefix."""
    file = toml('redis_url = "redis://db:6379/1"\nprefix = "shop"\n[queues.orders]\nworkers = "order-workers"\n')
    settings = load_settings()
    assert settings.config == Path("dlq.toml")
    assert file.is_file()
    assert settings.redacted == "redis://db:6379/1"
    assert settings.queues == {
        "orders": QueueConfig(
            name="orders",
            dlq="shop:dlq:orders",
            live="shop:orders",
            quarantine="shop:quarantine:orders",
            workers="order-workers",
        )
    }


def test_everything_about_a_queue_can_be_said(toml: Write) -> None:
    """The path of the schema is relative to the file."""
    toml(
        '[queues.webhooks]\ndlq = "d"\nlive = "l"\nquarantine = "q"\nworkers = ""\nschema = "schemas/w.json"\n'
        'fields = {type = "meta.kind", volatile = ["seen"]}\nthresholds = {depth_warn = 5}\n'
    )
    queue = load_settings().queue("webhooks")
    assert (queue.dlq, queue.live, queue.quarantine, queue.workers) == ("d", "l", "q", None)
    assert queue.schema_file == Path("schemas/w.json")
    assert (queue.fields.type, queue.fields.volatile, queue.thresholds.depth_warn) == ("meta.kind", ("seen",), 5)


def test_the_prefix_moves_the_queues_of_the_runbook_too(toml: Write) -> None:
    """A file without queues keeps the three."""
    toml('prefix = "acme"')
    assert load_settings().queue("jobs").dlq == "acme:dlq:jobs"


def test_the_environment_wins_over_the_file(toml: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an empty variable counts as none."""
    toml('ledger_days = 5\nlock_seconds = 50\nredis_url = "redis://file"')
    monkeypatch.setenv("DLQ_LEDGER_DAYS", "7")
    monkeypatch.setenv("DLQ_LOCK_SECONDS", "")
    monkeypatch.setenv("DLQ_REDIS_URL", "redis://env")
    settings = load_settings()
    assert (settings.ledger_days, settings.lock_seconds, settings.redacted) == (7, 50, "redis://env")


def test_the_file_is_looked_for_here_and_in_the_home(
    tmp_path: Path, toml: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DLQ_CONFIG names another place, and must then be there."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dlq.toml").write_text("ledger_days = 1", encoding="utf-8")
    monkeypatch.setenv("DLQ_HOME", str(home))
    assert load_settings().ledger_days == 1
    toml("ledger_days = 2")
    assert load_settings().ledger_days == 2
    named = tmp_path / "named.toml"
    named.write_text("ledger_days = 3", encoding="utf-8")
    monkeypatch.setenv("DLQ_CONFIG", str(named))
    assert load_settings().ledger_days == 3
    named.unlink()
    assert "DLQ_CONFIG names a file that does not exist" in problem()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tpyo = 1", "dlq.toml: tpyo: unknown key"),
        ("[queues.a]\ntpyo = 1", "dlq.toml: queues.a.tpyo: unknown key"),
        ('[queues.a.fields]\ntpye = "x"', "dlq.toml: queues.a.fields.tpye: unknown key"),
        ('[queues.a.fields]\ntype = "a..b"', "queues.a.fields.type: The field path 'a..b' has an empty part"),
        ('[queues.a]\ndlq = "k"\nlive = "k"', "queues.a: dlq, live and quarantine must be three different keys"),
        ('[queues.a]\nlive = "tokpulse:quarantine:a"', "must be three different keys"),
        ('[queues.a]\ndlq = "k"\n[queues.b]\ndlq = "k"', "the queues a and b have the same dlq key k"),
        ("[queues.a.thresholds]\ndepth_warn = 99999", "depth_emergency must not be lower than depth_warn"),
        ('[queues."a b"]', "a queue name is letters"),
        ('[queues.a]\ndlq = ""', "queues.a.dlq"),
        ("queues = 5", "dlq.toml: queues"),
        ("[queues]\na = 5", "dlq.toml: queues.a"),
        ('ledger_days = "soon"', "dlq.toml: ledger_days"),
        ("lock_seconds = 1", "dlq.toml: lock_seconds"),
        ('timezone = "Mars/Olympus"', "dlq.toml: timezone: is not a known time zone"),
        ('timezone = "/etc/passwd"', "dlq.toml: timezone: is not the name of a time zone"),
        ('home = "x"', "set DLQ_HOME instead"),
        ("ledger_days = ", "dlq.toml is not TOML"),
    ],
    ids=range(18),
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(toml: Write, text: str, expected: str) -> None:
    """So that it can be corrected without a search."""
    toml(text)
    assert expected in problem()


def test_a_mistake_in_the_environment_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """All mistakes at once."""
    monkeypatch.setenv("DLQ_LEDGER_DAYS", "soon")
    monkeypatch.setenv("DLQ_REDIS_URL", "http://db")
    said = problem()
    assert "DLQ_LEDGER_DAYS: " in said
    assert "DLQ_REDIS_URL: must begin with redis://" in said


@pytest.mark.parametrize("place", ["environment", "file"])
def test_the_password_never_shows(place: str, toml: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in what is printed, dumped, or raised about another setting or about itself."""
    for url in (
        "redis://jo:hunter2@db:6379/0",
        "redis://db?password=hunter2",
        "rediss://:hunter2@db",
        "http://jo:hunter2@db",
    ):
        if place == "environment":
            monkeypatch.setenv("DLQ_REDIS_URL", url)
        else:
            toml(f'redis_url = "{url}"')
        if not url.startswith("http"):
            settings = load_settings()
            assert settings.redis_url.get_secret_value() == url
            shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings.redacted}"
            assert "hunter2" not in shown
            monkeypatch.setenv("DLQ_LEDGER_DAYS", "never")
        with pytest.raises(ConfigError) as caught:
            load_settings()
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
        monkeypatch.delenv("DLQ_LEDGER_DAYS", raising=False)


@pytest.mark.parametrize(
    ("queues", "wrong"), [("hunter2", "is not JSON"), ('{"a": {"bogus": "hunter2"}}', "a.bogus: unknown key")]
)
def test_queues_in_the_environment_are_checked_like_those_of_a_file(
    queues: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable and the key are named, the value is not shown."""
    monkeypatch.setenv("DLQ_QUEUES", queues)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert f"DLQ_QUEUES: {wrong}" in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_importing_reads_nothing() -> None:
    """No environment, no file: only `load_settings` looks."""
    code = "import os; os.environ['DLQ_LEDGER_DAYS'] = 'bad'; import dlq.config.settings"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)


def test_settings_can_be_made_by_hand() -> None:
    """As tests and the demo do."""
    settings = Settings(home=Path("x"), queues={"a": {}})
    assert settings.queue("a") == QueueConfig.model_validate(QueueConfig.defaults("a"))


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not passed over as if there were no configuration, whoever names it."""
    (tmp_path / "dlq.toml").mkdir()
    assert "dlq.toml is a folder" in problem()
    monkeypatch.setenv("DLQ_CONFIG", str(tmp_path))
    assert "is a folder" in problem()


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """With the first byte that is wrong."""
    (tmp_path / "dlq.toml").write_bytes(b"prefix = \xff")
    assert "dlq.toml is not TOML: its byte 9" in problem()
