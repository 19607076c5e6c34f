"""Log files by pattern, and what changed in a git repository."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dlq.config.setting_systems import FAILURE_PATTERN
from dlq.errors import RepositoryError
from dlq.systems.logfiles import file_lines
from dlq.systems.loglines import clean
from dlq.systems.repository import Repository

NOW = datetime.now(UTC)


def test_only_matching_lines_of_the_tail_are_read(tmp_path: Path) -> None:
    """A huge file costs its last quarter of a megabyte; the first line of that is cut, and left out."""
    log = tmp_path / "workers.log"
    with log.open("w", encoding="utf-8") as stream:
        stream.write("ERROR the oldest\n" * 40_000)
        stream.write("INFO fine\nERROR the newest\n")
    lines, notes = file_lines([str(tmp_path / "*.log")], re.compile("ERROR"), most=3)
    assert [line.text for line in lines] == ["ERROR the oldest", "ERROR the oldest", "ERROR the newest"]
    assert notes == []


def test_the_runbook_s_greps_are_the_default() -> None:
    """What it greps for is found."""
    for line in ("x DLQ y", "Job failed", "Invalid JSON", "Schema validation", "Timeout", "ERROR", "timed out"):
        assert re.search(FAILURE_PATTERN, line)
    assert not re.search(FAILURE_PATTERN, "Message processed successfully")


def test_missing_files_are_noted(tmp_path: Path) -> None:
    """They are no failure."""
    assert file_lines([str(tmp_path / "none.log")], re.compile("E"))[1] == [f"no file fits {tmp_path / 'none.log'}"]


def test_files_that_are_not_text_do_no_harm(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are shown as such."""
    (tmp_path / "a.log").write_bytes(b"ERROR \xff\xfe\n")
    lines, _ = file_lines([str(tmp_path / "a.log")], re.compile("ERROR"))
    assert lines[0].text.startswith("ERROR")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("login at postgres://u:hunter2@db failed", "login at postgres://u:***@db failed"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("api_key='k-123' refused", "api_key='*** refused"),
        ('got {"card": "4111", "name": "Ada"}', "got {…}"),
        ('got [{"card": 1}]', "got {…}"),
    ],
)
def test_lines_hold_no_secret_and_no_payload(line: str, shown: str) -> None:
    """They may be shown to anybody."""
    assert clean(line).replace("***' ", "*** ") == shown


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository with an old commit and two young ones, of which one touches the configuration."""
    folder = tmp_path / "repository"
    (folder / "config").mkdir(parents=True)

    def git(*arguments: str, at: datetime = NOW) -> None:
        identity = {f"GIT_{who}_{what}": "Ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        command = ["git", "-C", str(folder), *arguments]
        subprocess.run(command, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", **identity, **dates})

    git("init", "-q")
    (folder / "config/app.toml").write_text("region = 'eu'\npassword = 'old'\n")
    git("add", ".")
    git("commit", "-qm", "Begin", at=NOW - timedelta(days=9))
    (folder / "readme").write_text("hello")
    git("add", ".")
    git("commit", "-qm", "Readme; $(touch /tmp/never)", at=NOW - timedelta(hours=2))
    (folder / "config/app.toml").write_text("region = 'us'\npassword = 'new-canary'\n")
    git("commit", "-qam", "Move to us", at=NOW - timedelta(hours=1))
    return folder


def test_commits_since(repository: Path) -> None:
    """The newest first; those that touch the configuration are marked."""
    commits = Repository(repository).commits(NOW - timedelta(days=1))
    assert [(commit.text, commit.config) for commit in commits] == [
        ("Move to us", True),
        ("Readme; $(touch /tmp/never)", False),
    ]
    assert abs(commits[0].at - (NOW - timedelta(hours=1))) < timedelta(seconds=2)


def test_the_diff_of_the_configuration(repository: Path) -> None:
    """From before the moment until now, without passwords; other files are left out."""
    diff = Repository(repository).config_diff(NOW - timedelta(hours=3))
    assert "-region = 'eu'" in diff
    assert "+region = 'us'" in diff
    assert "canary" not in diff
    assert "readme" not in diff


def test_a_repository_without_history_before(repository: Path) -> None:
    """There is nothing to compare with."""
    assert Repository(repository).config_diff(NOW - timedelta(days=30)) == ""


def test_a_config_path_is_never_an_option(repository: Path, tmp_path: Path) -> None:
    """A path that looks like an option of git is a path: no file is written."""
    written = tmp_path / "written"
    assert Repository(repository, f"--output={written}").config_diff(NOW - timedelta(hours=3)) == ""
    assert not written.exists()


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    """The error says which folder."""
    with pytest.raises(RepositoryError, match=re.escape(str(tmp_path))):
        Repository(tmp_path).commits(NOW)
