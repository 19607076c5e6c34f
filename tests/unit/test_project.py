"""The project's own frame: the lock, the lint settings, the command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = ("status", "peek", "assess", "drain", "quarantine", "rollback", "resume", "stop", "runs", "show", "demo")


def lock_text() -> str:
    """Read the lock."""
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def ignored_rules() -> list[str]:
    """List the lines of pyproject.toml that switch a ruff rule off, alone or in a list."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split("[tool.ruff.lint]")[1].split("[tool.ruff.lint.pydocstyle]")[0]
    return [line for line in section.splitlines() if re.search(r'"[A-Z]+[0-9]+"', line)]


def test_the_lock_holds_no_address() -> None:
    """No download address of a registry, which may be a private one, stands in the lock."""
    assert "://" not in lock_text()


def test_the_lock_holds_no_absolute_path() -> None:
    """No line of the lock names a place on the machine that made it."""
    paths = [line for line in lock_text().splitlines() if re.search(r"(^|[\s=@])(/|[A-Za-z]:\\)\w", line)]
    assert paths == []


def test_each_package_in_the_lock_has_a_hash() -> None:
    """Each pinned package is followed by a hash, so that pip refuses anything else."""
    pins = re.findall(r"^[a-z0-9.-]+==\S+.*\\\n    --hash=sha256:", lock_text(), re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\S+==", lock_text(), re.MULTILINE)) > 0


def test_each_ruff_ignore_has_a_reason() -> None:
    """A rule that is switched off says why on its line, one rule a line."""
    rules = ignored_rules()
    assert rules
    assert [rule for rule in rules if not re.fullmatch(r'\s*"[A-Z]+[0-9]+",\s+# \w.{8,}', rule)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_lists_the_command(command: str, help_text: str) -> None:
    """Each command that people and other programs call stands in `dlq --help`."""
    assert re.search(rf"^\s+{command}\b", help_text, re.MULTILINE)


@pytest.fixture(scope="module")
def help_text() -> str:
    """Run the installed command as a user does."""
    program = Path(sys.executable).with_name("dlq")
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout


def test_the_packages_import_from_any_folder(tmp_path: Path) -> None:
    """The editable install makes the four packages importable wherever one stands."""
    done = subprocess.run([sys.executable, "-c", "import dlq, flows, tasks, deployments"], cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_the_help_says_whole_sentences(help_text: str) -> None:
    """Nothing of what a command does is cut off in a terminal of 80 columns."""
    commands = help_text.partition("Commands:")[2].splitlines()
    assert len(commands) > 10
    assert [line for line in commands if line.endswith("...")] == []
