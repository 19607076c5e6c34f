"""Commands as they go to Redis."""

import hiredis
import pytest

from dlq.brokers.redis_wire import packed


@pytest.mark.parametrize(
    "command",
    [("PING",), ("LRANGE", "käse", -5, 0), ("EVALSHA", "0" * 40, 2, "a b", "", b"\x00\r\n$3\xff", b"", 1.5)],
)
def test_a_command_is_packed_as_the_client_library_does(command: tuple[object, ...]) -> None:
    """Whatever bytes are in it: text, numbers, line ends, nothing."""
    assert packed(command) == hiredis.pack_command(command)
