"""The benchmarks run, and write what other programs read; how fast anything was is not asserted."""

import json
import os
import subprocess
import sys
from pathlib import Path

from dlq.embedded.rabbit import find_rabbitmq

ROOT = Path(__file__).parents[2]
FIELDS = {"name", "value", "unit", "baseline", "ratio", "target", "ok"}


def test_a_quick_run_writes_every_row(tmp_path: Path) -> None:
    """A quick run gives a figure, a baseline and a ratio for each of the targets, and prints the same names."""
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(file)]
    ran = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert len(rows) == 21 + (3 if find_rabbitmq() else 0)
    assert all(set(row) == FIELDS for row in rows)
    assert all(
        row["value"] > 0 and row["baseline"] > 0 and row["ratio"] > 0 for row in rows if "hold" not in row["name"]
    )
    assert all(row["name"] in ran.stdout for row in rows)


def test_one_measurement_can_be_asked_for(tmp_path: Path) -> None:
    """With --only there are the rows of that measurement and of the holds during it."""
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "rollback", "--out", str(file)]
    subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    names = [row["name"] for row in json.loads(file.read_text(encoding="utf-8"))]
    assert [name.split()[0] for name in names] == ["rollback", "longest", "longest"]
