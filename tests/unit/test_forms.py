"""The forms that Prefect makes of the flows' parameters, and what the flows refuse before their first step."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from dlq.records.alerts import Alert
from flows.assess import assess
from flows.depth_report import depth_report
from flows.drain import drain
from flows.incident import incident
from flows.quarantine import quarantine
from flows.rollback import rollback
from flows.verify import verify
from flows.weekly_review import weekly_review

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FLOWS = [assess, depth_report, drain, incident, quarantine, rollback, verify, weekly_review]
CHOICES = ("queue", "pace")


def schema(flow: Any) -> dict[str, Any]:
    """Make a flow's schema anew, as the import of its file does."""
    return parameter_schema(flow.fn).model_dump()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configure two queues."""
    file = tmp_path / "dlq.toml"
    file.write_text("[queues.orders]\n[queues.mails]\n", encoding="utf-8")
    monkeypatch.setenv("DLQ_CONFIG", str(file))
    return file


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
@pytest.mark.usefixtures("settings")
def test_the_form_offers_the_configured_queues(flow: Any) -> None:
    """A person picks the queue from a list; where a flow only looks, `all` is in it."""
    names = schema(flow)["properties"]["queue"]["enum"]
    assert [name for name in names if name != "all"] == ["orders", "mails"]
    assert ("all" in names) is (flow in {assess, depth_report, weekly_review})


def test_settings_that_cannot_be_read_leave_a_text_field(settings: Path) -> None:
    """Importing a flow does not fail because somebody is editing dlq.toml; the run says what is wrong."""
    settings.write_text("queues = 3", encoding="utf-8")
    field = schema(drain)["properties"]["queue"]
    assert (field["type"], "enum" in field) == ("string", False)
    with pytest.raises(Exception, match=r"queues"):
        drain.validate_parameters({"queue": "orders"})


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_field_is_a_field(flow: Any) -> None:
    """No field is a choice between a type and nothing: each has one type, bounds or choices, and words."""
    for name, field in schema(flow)["properties"].items():
        plain = {"object"} if name == "alert" else {"string", "integer", "number", "boolean", "array"}
        assert field["type"] in plain, name
        assert "`" not in field["description"], f"{name}: one of the UIs shows Markdown as it is typed"
        if field["type"] in {"integer", "number"} and "enum" not in field:
            assert "minimum" in field, f"{name} has no lower bound"


def test_what_the_untouched_form_sends_fits_and_means_nothing() -> None:
    """The form sends every default; the server's check takes them, and the flow reads them as not said."""
    fields = schema(drain)["properties"]
    sent = {name: field["default"] for name, field in fields.items() if "default" in field} | {"queue": "webhooks"}
    assert validate(sent, schema(drain)) == []
    read = drain.validate_parameters(sent)
    assert {
        name: read[name] for name in ("types", "error", "older_than", "attempts_min", "limit", "set")
    } == dict.fromkeys(("types", "error", "older_than", "attempts_min", "limit", "set"))


def test_an_incident_from_the_form_is_about_no_alert() -> None:
    """The form sends an empty object; the receiver sends an alert, and one that cannot be read is refused by name."""
    fields = schema(incident)["properties"]
    assert fields["alert"]["default"] == {}
    sent = {"queue": "webhooks", "alert": {}}
    assert validate(sent, schema(incident)) == []
    assert incident.validate_parameters(sent)["alert"] is None
    alert = Alert(name="HighDLQDepth", fingerprint="f", starts_at=datetime(2026, 11, 25, tzinfo=UTC), level=2)
    told = {"queue": "webhooks", "alert": alert.model_dump(mode="json")}
    assert validate(told, schema(incident)) == []
    assert incident.validate_parameters(told)["alert"] == alert
    with pytest.raises(ParameterTypeError, match=r"alert\.Alert\.fingerprint|alert\.fingerprint"):
        incident.validate_parameters({"queue": "webhooks", "alert": {"name": "HighDLQDepth"}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queue", "webhook"),
        ("pace", "fast"),
        ("batch", 0),
        ("batch", 1_000_001),
        ("pause", -1),
        ("grace", 3_601),
        ("limit", -1),
        ("attempts_min", -1),
        ("types", "webhook"),
        ("reason", "x" * 1_001),
        ("older_than", "2" * 51),
    ],
)
def test_the_server_refuses_what_the_schema_excludes(field: str, value: Any) -> None:
    """Bounds and choices are refused before there is a run, and the message names the field."""
    (problem,) = validate({"queue": "webhooks", field: value}, schema(drain))
    assert problem.json_path == f"$.{field}"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("queue", "webhook", "known experiments, jobs, webhooks"),
        ("error", "(", "not a regular expression"),
        ("older_than", "soon", "not an age"),
        ("newer_than", "2999-01-01", "lies in the future"),
        ("where", ["region"], "not a condition"),
        ("set", ["retryCount"], "not an edit"),
        ("unset", ["a..b"], "path"),
        ("increment", [""], "path"),
        ("batch", 0, "greater than or equal to 1"),
    ],
)
def test_the_run_refuses_the_rest_before_its_first_step(field: str, value: Any, says: str) -> None:
    """What a schema cannot say is refused when the parameters are read, with the field's name and the way out."""
    with pytest.raises(ParameterTypeError) as refused:
        drain.validate_parameters({"queue": "webhooks", field: value})
    assert field in str(refused.value)
    assert says in str(refused.value)
