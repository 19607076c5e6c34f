"""What a flow run waits for before its first task: its imports."""

import subprocess
import sys

HEAVY = ("pandas", "matplotlib", "kubernetes", "slack_sdk", "apprise", "prometheus_api_client", "fastapi", "uvicorn")


def test_the_flow_of_an_incident_imports_nothing_heavy() -> None:
    """Plots, tables, Kubernetes and Slack are imported by the steps that use them."""
    code = f"import sys, flows.incident; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
