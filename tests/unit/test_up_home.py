"""The home of `dlq up`: one holder, a token that stays, ports that are free, and where others find things."""

import socket
import stat
from pathlib import Path

import pytest

from dlq.config.announced import announced
from dlq.embedded.redis import free_port
from dlq.errors import ConfigError
from dlq.up.errors import PortInUseError, UpRunningError
from dlq.up.home import hold, require_free_port
from dlq.up.leftovers import fresh_state


def test_a_home_has_one_holder(tmp_path: Path) -> None:
    """The second one is refused with the process id of the first; afterwards the home is free again."""
    with hold(tmp_path / "new" / "home"), pytest.raises(UpRunningError, match=r"process \d+"):
        hold(tmp_path / "new" / "home").__enter__()
    with hold(tmp_path / "new" / "home") as home:
        assert home.folder == tmp_path / "new" / "home"


def test_a_home_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file in its place is a setting to correct."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="DLQ_HOME"):
        hold(tmp_path / "file").__enter__()


def test_the_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    """It is long, stays the same, and only its owner can read it, even after somebody opened it up."""
    with hold(tmp_path) as home:
        token = home.token()
        assert len(token) >= 40
        home.token_file.chmod(0o644)
        assert home.token() == token
        assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600


def test_what_is_announced_is_found_while_it_is_held(tmp_path: Path) -> None:
    """Others see the addresses as long as the holder lives, and nothing of a dead one."""
    with hold(tmp_path) as home:
        assert announced(tmp_path) == {}
        home.announce({"redis_url": "redis://127.0.0.1:1/0"})
        assert announced(tmp_path) == {"redis_url": "redis://127.0.0.1:1/0"}
        left = (tmp_path / "up.json").read_text(encoding="utf-8")
    (tmp_path / "up.json").write_text(left, encoding="utf-8")  # as after a SIGKILL
    assert announced(tmp_path) == {}
    assert announced(tmp_path / "nowhere") == {}


def test_a_port_in_use_is_named_with_its_setting() -> None:
    """The message says what wanted the port, and which setting gives it another."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"Port {port} of 127.0.0.1, for the Prefect server.*DLQ_UI_PORT"):
            require_free_port("127.0.0.1", port, "Prefect server", "DLQ_UI_PORT")


def test_a_free_port_is_free_and_a_foreign_address_is_not_ours() -> None:
    """A free port passes; an address of another machine is a setting to correct."""
    require_free_port("127.0.0.1", free_port(), "Prefect server", "DLQ_UI_PORT")
    with pytest.raises(ConfigError, match="DLQ_RECEIVER_HOST"):
        require_free_port("192.0.2.1", 8080, "receiver", "DLQ_RECEIVER_PORT", "DLQ_RECEIVER_HOST")


@pytest.mark.parametrize(
    ("state", "starts", "expected"),
    [
        ("RUNNING", 1, "SCHEDULED"),
        ("PENDING", 0, "SCHEDULED"),
        ("RUNNING", 10, "CRASHED"),
        ("CANCELLING", 1, "CANCELLED"),
    ],
)
def test_a_flow_run_without_a_process_gets_a_true_state(state: str, starts: int, expected: str) -> None:
    """It goes on where that can be; one that fell ten times and a cancelled one do not."""
    assert fresh_state({"state": {"type": state}, "run_count": starts})["type"] == expected
