"""Archives: byte for byte, complete or nothing, in a folder and at an fsspec address."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlq.engine import archive
from dlq.errors import ArchiveError

ORIGIN = archive.Origin("webhooks", "webhooks-1", "ada@ops", "spoilt", "2026-11-25T08:00:00Z", "healthy messages")
AWKWARD = [b"", b"{}", b"\xff\x00\xfe", "\u2028 \u0000 é\n\r".encode(), b'{"m": "b"}', b'{"end": 3}', b"x" * 100_000]


@given(messages=st.lists(st.binary(max_size=200), max_size=20))
def test_what_goes_in_comes_out(messages: list[bytes]) -> None:
    """Any bytes, in their order, with doubles; count and origin too."""
    address = f"memory://archives/{uuid4()}.jsonl.zst"
    written = archive.write(address, ORIGIN, messages)
    assert list(archive.messages_of(address)) == messages
    assert (written.messages, archive.origin_of(address)) == (len(messages), ORIGIN)


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_awkward_bytes_survive(tmp_path: Path, place: str) -> None:
    """Line ends inside of messages, bytes that are no text, and lines that look like our own."""
    base = str(tmp_path) if place == "folder" else f"memory://{uuid4()}"
    address = archive.address_of(base, "webhooks", "webhooks-1")
    archive.write(address, ORIGIN, AWKWARD)
    assert list(archive.messages_of(address)) == AWKWARD
    assert archive.check(address).messages == len(AWKWARD)


def test_an_archive_that_broke_off_is_none(tmp_path: Path) -> None:
    """The source fails midway: there is no file of that name, and writing it again works."""

    def broken() -> Iterator[bytes]:
        yield b"first"
        raise ArchiveError("the broker is gone")

    address = archive.address_of(str(tmp_path), "webhooks", "webhooks-1")
    with pytest.raises(ArchiveError, match="gone"):
        archive.write(address, ORIGIN, broken())
    assert not archive.exists(address)
    assert archive.write(address, ORIGIN, [b"first", b"second"]).messages == 2


def test_a_complete_archive_is_left_alone(tmp_path: Path) -> None:
    """Written again with other messages, the first ones stay: they may be gone from everywhere else."""
    address = archive.address_of(str(tmp_path), "webhooks", "webhooks-1")
    archive.write(address, ORIGIN, [b"first"])
    assert archive.write(address, ORIGIN, [b"second"]).messages == 1
    assert list(archive.messages_of(address)) == [b"first"]


def test_an_address_that_means_nothing_is_refused() -> None:
    """The message names the setting."""
    with pytest.raises(ArchiveError, match="DLQ_ARCHIVES"):
        archive.check("nonsense://somewhere/x.jsonl.zst")
