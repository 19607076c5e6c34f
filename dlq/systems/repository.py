"""What changed in the git repository of the workers: its history, and the diff of its configuration folder.

git is called without a shell, with arguments of its own; nothing in the repository is run (no hooks, filters, pagers).
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dlq.errors import RepositoryError
from dlq.systems.loglines import hide

_SECONDS = 20
_COMMITS = 50
_DIFF = 20_000  # characters
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: short hash, time of commit, author, first line, and whether it touched the configuration."""

    hash: str
    at: datetime
    who: str
    text: str
    config: bool = False

    @property
    def summary(self) -> str:
        """Say it in a few words."""
        word = "config change" if self.config else "commit"
        return f"{word} {self.hash} by {self.who}: {self.text}"


class Repository:
    """A git repository, read only."""

    def __init__(self, folder: Path, config_path: str = "config") -> None:
        """Take its folder, and the folder of the configuration within."""
        self._folder = folder
        self._config_path = config_path

    def commits(self, since: datetime) -> list[Commit]:
        """List the commits since a moment, newest first, at most fifty."""
        touched = {commit.hash for commit in self._log(since, self._config_path)}
        return [
            Commit(commit.hash, commit.at, commit.who, commit.text, commit.hash in touched)
            for commit in self._log(since)
        ]

    def config_diff(self, since: datetime) -> str:
        """Give the diff of the configuration folder from before `since` until now, cut and without secrets."""
        base = self._git("rev-list", "-1", f"--before={since.isoformat()}", "HEAD").strip()
        if not base:
            return ""
        text = self._git("diff", "--no-ext-diff", "--no-textconv", "--no-color", base, "HEAD", "--", self._config_path)
        return "\n".join(hide(line) for line in text[:_DIFF].splitlines())

    def _log(self, since: datetime, path: str | None = None) -> list[Commit]:
        form = _SEPARATOR.join(("%h", "%cI", "%an", "%s"))
        arguments = ["log", f"--max-count={_COMMITS}", f"--since={since.isoformat()}", f"--format={form}", "HEAD", "--"]
        text = self._git(*arguments, *([path] if path else []))
        rows = [line.split(_SEPARATOR, 3) for line in text.splitlines() if line.count(_SEPARATOR) >= 3]  # noqa: PLR2004 - four parts
        return [Commit(row[0], datetime.fromisoformat(row[1]), row[2][:60], hide(row[3])[:120]) for row in rows]

    def _git(self, *arguments: str) -> str:
        program = shutil.which("git")
        if program is None:
            raise RepositoryError("There is no git on this machine")
        safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager", "--literal-pathspecs")
        try:
            done = subprocess.run(  # noqa: S603 - no shell; the arguments are ours, the folder is from the settings
                [program, "-C", str(self._folder), *safe, *arguments],
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise RepositoryError("git did not answer", folder=str(self._folder)) from exc
        if done.returncode:
            raise RepositoryError(f"git {arguments[0]} ended with {done.returncode}", folder=str(self._folder))
        return done.stdout.decode("utf-8", "replace")
