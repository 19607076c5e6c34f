"""How the demo's incidents begin: the rules and routes of `deployments/` made quick, or the same payload by itself."""

import re
from pathlib import Path

from deployments.receiver.payload import Payload
from deployments.serve import project_folder
from dlq.demo.alarm import payload
from dlq.demo.monitoring import quick_routes, quick_rules

DEPLOYMENTS = project_folder() / "deployments"


def test_the_rules_are_the_shipped_ones_but_quick() -> None:
    """Every condition has to hold for two seconds only; nothing else of the rules differs."""
    shipped = (DEPLOYMENTS / "prometheus" / "dlq.rules.yml").read_text(encoding="utf-8")
    quick = quick_rules(shipped)
    changed = [
        (old.strip(), new.strip())
        for old, new in zip(shipped.splitlines(), quick.splitlines(), strict=True)
        if old != new
    ]
    assert len(changed) > 2
    assert all(re.fullmatch(r"for: \w+", old) and new == "for: 2s" for old, new in changed)


def test_the_routes_lead_to_the_demos_receiver_with_its_token() -> None:
    """Waits are short, and address and token file are the demo's."""
    shipped = (DEPLOYMENTS / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    quick = quick_routes(shipped, "http://127.0.0.1:1234/alerts", Path("/home/ada/token"))
    assert "url: http://127.0.0.1:1234/alerts" in quick
    assert "credentials_file: /home/ada/token" in quick
    assert re.search(r"group_wait: 1s\b", quick)
    assert "4201" not in re.sub("#.*", "", quick)


def test_the_payload_of_its_own_is_alertmanagers() -> None:
    """The receiver's model takes it: a firing alert for each queue."""
    taken = Payload.model_validate(payload({"webhooks": 36_000, "jobs": 15_000}))
    assert [(alert.name, alert.labels["queue"], alert.status) for alert in taken.alerts] == [
        ("HighDLQDepth", "webhooks", "firing"),
        ("HighDLQDepth", "jobs", "firing"),
    ]
    assert len({alert.key(alert.labels["queue"]) for alert in taken.alerts}) == 2
