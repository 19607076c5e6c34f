"""The supervisor of `dlq up`, with small programs of no purpose as services."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlq.up import supervisor as module
from dlq.up.errors import ServiceFailedError
from dlq.up.guard import Guard, end
from dlq.up.home import hold
from dlq.up.service import Service
from dlq.up.supervisor import Supervisor

PATIENCE = 60.0
SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
WITH_WORK = """
import subprocess, sys, time
work = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(work.pid, flush=True)
time.sleep(600)
"""
PARENT = (sys.executable, "-c", WITH_WORK)


class Box:
    """A supervisor with its home, its guard and what it said."""

    def __init__(self, folder: Path, guard: Guard) -> None:
        """Take an empty folder for the logs."""
        self.folder, self.guard = folder, guard
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.made: list[Supervisor] = []

    def supervise(self, *services: Service) -> Supervisor:
        """Make the supervisor; nothing is started yet."""
        made = Supervisor(services, self.folder, {}, self.guard, lambda event, _text, **facts: self._note(event, facts))
        self.made.append(made)
        return made

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        self.said.append((event, facts))

    def events(self, name: str) -> list[str]:
        """Give what was said about a service."""
        return [event for event, facts in self.said if facts.get("name") == name]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """Give a supervisor's surroundings, with pauses too short to wait for."""
    monkeypatch.setattr(module, "FIRST_BACK_OFF", 0.01)
    with hold(tmp_path) as home:
        guard = Guard(home.lock)
        box = Box(home.logs, guard)
        yield box
        for made in box.made:
            made.kill()
        guard.close()


def service(name: str, command: tuple[str, ...] = SLEEP, **more: Any) -> Service:
    """Make a service that is ready at once."""
    return Service(name, name.title(), command, **{"ready": lambda _: True, **more})


def until(supervisor: Supervisor, done: Callable[[], bool]) -> None:
    """Tick until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        supervisor.tick()
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Say whether a process has ended; one that nobody has waited for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_needs_another_starts_after_it(box: Box) -> None:
    """The second service has no process until the first one is ready."""
    there: list[bool] = []
    supervisor = box.supervise(service("first", ready=lambda _: bool(there)), service("second", needs=("first",)))
    for _ in range(5):
        supervisor.tick()
    assert list(supervisor.pids) == ["first"]
    there.append(True)
    until(supervisor, lambda: supervisor.ready)
    assert list(supervisor.pids) == ["first", "second"]


def test_a_killed_service_comes_back(box: Box) -> None:
    """It is said how the process ended, and another one takes its place."""
    supervisor = box.supervise(service("one"))
    until(supervisor, lambda: supervisor.ready)
    before = supervisor.pids["one"]
    os.kill(before, signal.SIGKILL)
    until(supervisor, lambda: supervisor.ready and supervisor.pids["one"] != before)
    assert box.events("one") == ["ready", "died", "ready"]
    assert next(facts["how"] for event, facts in box.said if event == "died") == "ended with signal SIGKILL"


def test_a_service_that_never_starts_ends_all_of_it(box: Box) -> None:
    """After the second attempt the error has the status and the last lines of the log."""
    broken = (sys.executable, "-c", "import sys; print('no such setting'); sys.exit(7)")
    supervisor = box.supervise(service("broken", broken, ready=lambda _: False))
    with pytest.raises(ServiceFailedError, match=r"status 7: no such setting") as caught:
        until(supervisor, lambda: False)
    assert str(box.folder / "broken.log") in str(caught.value)
    assert box.events("broken") == ["died"]


def test_the_limit_counts_deaths_in_a_row(box: Box) -> None:
    """A service that was ready once is started again five times, then it is given up."""
    brief = (sys.executable, "-c", "import time; time.sleep(0.05)")
    supervisor = box.supervise(service("brief", brief))
    with pytest.raises(ServiceFailedError):
        until(supervisor, lambda: False)
    assert box.events("brief").count("died") == module.RESTARTS


def test_falling_with_what_one_needs_does_not_count(box: Box) -> None:
    """A service that cannot live without another waits for it, however often it falls."""
    supervisor = box.supervise(service("base"), service("top", needs=("base",)))
    until(supervisor, lambda: supervisor.ready)
    for _ in range(module.RESTARTS + 2):
        for pid in supervisor.pids.values():
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # dead before the next one is, and left to be found
        until(supervisor, lambda: not supervisor.ready)
        supervisor._kept["base"].failures = 0  # its own count is not what is looked at
        until(supervisor, lambda: supervisor.ready)
    assert supervisor._kept["top"].failures == 0


def test_a_service_that_hangs_at_its_start_is_killed(box: Box) -> None:
    """Not being ready in time is a death as well."""
    supervisor = box.supervise(service("slow", ready=lambda _: False, start_seconds=0.05))
    with pytest.raises(ServiceFailedError, match="was not ready"):
        until(supervisor, lambda: False)


def test_a_service_ends_with_all_that_it_started(box: Box) -> None:
    """A killed service's own children neither hold its port nor work on beside its successor's."""
    alive: list[bool] = []
    log = box.folder / "server.log"

    def look() -> None:
        alive.extend(not gone(int(pid)) for pid in (log.read_text(encoding="ascii").split() if log.exists() else ()))

    supervisor = box.supervise(service("server", PARENT, before=look))
    until(supervisor, lambda: supervisor.ready and log.exists() and log.read_text(encoding="ascii").strip() != "")
    leader = supervisor.pids["server"]
    os.kill(leader, signal.SIGKILL)
    until(supervisor, lambda: supervisor.ready and supervisor.pids["server"] != leader)
    assert alive == [False]


def test_stopping_goes_from_the_top_down(box: Box, tmp_path: Path) -> None:
    """What is needed is stopped after what needs it."""
    order = tmp_path / "order"
    code = (
        "import signal, sys, time, pathlib; f = pathlib.Path(sys.argv[1]);"
        "signal.signal(signal.SIGTERM, lambda *_: (f.open('a').write(sys.argv[2] + ' '), sys.exit()));"
        "print('on', flush=True); time.sleep(600)"
    )

    def noting(name: str, **more: Any) -> Service:
        on = box.folder / f"{name}.log"
        command = (sys.executable, "-c", code, str(order), name)
        return service(name, command, ready=lambda _: "on" in on.read_text(encoding="ascii"), **more)

    supervisor = box.supervise(noting("base"), noting("middle", needs=("base",)), noting("top", needs=("middle",)))
    until(supervisor, lambda: supervisor.ready)
    supervisor.stop()
    assert order.read_text(encoding="ascii").split() == ["top", "middle", "base"]


def left_by_parent(box: Box, supervisor: Supervisor) -> None:
    """Do to the guard what the parent's death does: its standard input ends. Wait for it and for the services."""
    pipe = box.guard._process.stdin
    assert pipe is not None
    pipe.close()
    deadline = time.monotonic() + PATIENCE
    while not all(kept.child is None or kept.child.ended for kept in supervisor._kept.values()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    box.guard.close()


def test_the_guard_ends_what_its_parent_left(box: Box) -> None:
    """When its standard input ends, every group on the list ends."""
    supervisor = box.supervise(service("one"), service("two"))
    until(supervisor, lambda: supervisor.ready)
    left_by_parent(box, supervisor)
    assert all(gone(pid) for pid in supervisor.pids.values())


def test_another_guard_knows_the_whole_list(box: Box) -> None:
    """A killed guard is replaced, and its successor ends what was started before it."""
    supervisor = box.supervise(service("one"))
    until(supervisor, lambda: supervisor.ready)
    os.kill(box.guard.pid, signal.SIGKILL)
    until(supervisor, lambda: box.events("guard") == ["died"])
    left_by_parent(box, supervisor)
    assert gone(supervisor.pids["one"])


def test_a_deaf_group_is_killed() -> None:
    """What does not heed SIGTERM gets SIGKILL when its time is over."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        end([process.pid], 0.2)
        assert process.wait() == -signal.SIGKILL
