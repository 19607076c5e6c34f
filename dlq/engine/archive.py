"""Archives of discarded messages: JSON lines, packed by zstd, in a folder or at any fsspec address.

The first line says where the messages are from, each further one holds a message (`m`: text; `b`: base64 of bytes that
are no UTF-8), oldest first, and the last one says how many there are and their digest. A file without that last line
is not complete, and counts for nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import orjson

from dlq.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fsspec.spec import AbstractFileSystem

_VERSION: Final = 1
_LEVEL: Final = 9  # of zstd: dead letters are alike, and nobody waits for an archive


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the messages of an archive are from: queue, run, who, why, when (ISO 8601), and what was selected."""

    queue: str
    run_id: str
    who: str
    reason: str
    at: str
    selected: str


@dataclass(frozen=True, slots=True)
class Written:
    """A complete archive: its address, messages and SHA-256 of the messages."""

    address: str
    messages: int
    digest: str


def address_of(place: str, queue: str, run_id: str) -> str:
    """Name the archive of a run below a folder or an fsspec address."""
    return f"{place.rstrip('/')}/{queue}/{run_id}.jsonl.zst"


def write(address: str, origin: Origin, messages: Iterable[bytes]) -> Written:
    """Write an archive completely and read it back; a complete one of this name is left as it is."""
    if exists(address):
        return check(address)
    digest, count = hashlib.sha256(), 0
    with _made(address) as out:
        out.write(orjson.dumps({"dlq-drain": _VERSION, **asdict(origin)}) + b"\n")
        for message in messages:
            out.write(_line(message))
            _add(digest, message)
            count += 1
        out.write(orjson.dumps({"end": count, "sha256": digest.hexdigest()}) + b"\n")
    found = check(address)
    if (found.messages, found.digest) != (count, digest.hexdigest()):
        raise ArchiveError("What was written is not what is read back", archive=address)
    return found


def check(address: str) -> Written:
    """Read an archive to its end; ArchiveError when it is damaged or not complete."""
    digest, count, end = hashlib.sha256(), 0, None
    for said in _lines(address):
        if "end" in said:
            end = said
        elif "dlq-drain" not in said:
            _add(digest, _message(said, address))
            count += 1
    if end is None or end["end"] != count or end["sha256"] != digest.hexdigest():
        raise ArchiveError("The archive is not complete", archive=address, messages=count)
    return Written(address, count, digest.hexdigest())


def origin_of(address: str) -> Origin:
    """Read where the messages are from."""
    for said in _lines(address):
        if said.get("dlq-drain") != _VERSION:
            raise ArchiveError("This is no archive of ours, or of a newer version", archive=address)
        return Origin(**{name: str(said.get(name, "")) for name in Origin.__slots__})
    raise ArchiveError("The archive is empty", archive=address)


def messages_of(address: str) -> Iterator[bytes]:
    """Stream the messages, oldest first."""
    for said in _lines(address):
        if "end" not in said and "dlq-drain" not in said:
            yield _message(said, address)


def exists(address: str) -> bool:
    """Say whether there is a file of this name."""
    system, path = _system(address)
    return bool(system.exists(path))


def note(address: str, facts: dict[str, Any]) -> None:
    """Write facts about an archive into a small file beside it, over those that stood there; all or nothing."""
    system, path = _system(address)
    target = f"{path}.json.part" if _is_local(system) else f"{path}.json"
    try:
        with system.open(target, "wb") as file:
            file.write(orjson.dumps(noted(address) | facts))
        if target.endswith(".part"):
            Path(target).replace(f"{path}.json")
    except OSError as exc:
        raise ArchiveError(f"What became of the archive cannot be noted beside it: {exc}", archive=address) from exc


def noted(address: str) -> dict[str, Any]:
    """Read the facts beside an archive; none when there is no such file, ArchiveError when it cannot be read."""
    system, path = _system(address)
    if not system.exists(f"{path}.json"):
        return {}
    try:
        with system.open(f"{path}.json", "rb") as file:
            facts: dict[str, Any] = orjson.loads(file.read())
    except (OSError, orjson.JSONDecodeError) as exc:
        raise ArchiveError(f"What became of the archive cannot be read beside it: {exc}", archive=address) from exc
    return facts


@contextmanager
def _made(address: str) -> Iterator[BinaryIO]:
    """Open a packed file for writing; it has its name only when it is complete and, on this machine, on the disk."""
    import zstandard  # noqa: PLC0415 - commands that need no archive do without it

    system, path = _system(address)
    local = _is_local(system)
    # An object store shows an object only once it is closed; a file system needs another name until then.
    target = f"{path}.part" if local else path
    try:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with system.open(target, "wb") as file:
            with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(
                file, closefd=False
            ) as packed:
                yield cast("BinaryIO", packed)
            file.flush()
            if local:
                os.fsync(file.fileno())
        if local:
            Path(target).replace(path)
            _sync_folder(Path(path).parent)
    except OSError as exc:
        raise ArchiveError(f"The archive cannot be written: {exc.strerror or exc}", archive=address) from exc


def _sync_folder(folder: Path) -> None:
    """Bring a new name onto the disk: https://man7.org/linux/man-pages/man2/fsync.2.html."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lines(address: str) -> Iterator[dict[str, Any]]:
    import zstandard  # noqa: PLC0415

    system, path = _system(address)
    try:
        with system.open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as unpacked:
            for line in io.TextIOWrapper(unpacked, encoding="utf-8", newline="\n"):
                yield orjson.loads(line)
    except (OSError, zstandard.ZstdError, orjson.JSONDecodeError, UnicodeDecodeError) as exc:
        raise ArchiveError(f"The archive cannot be read: {exc}", archive=address) from exc


def _line(message: bytes) -> bytes:
    try:
        said: dict[str, str] = {"m": message.decode("utf-8")}
    except UnicodeDecodeError:
        said = {"b": base64.b64encode(message).decode("ascii")}
    return orjson.dumps(said) + b"\n"


def _message(said: dict[str, Any], address: str) -> bytes:
    try:
        if "m" in said:
            text: str = said["m"]
            return text.encode("utf-8")
        return base64.b64decode(said["b"], validate=True)
    except (KeyError, TypeError, AttributeError, binascii.Error) as exc:
        raise ArchiveError("A line of the archive holds no message", archive=address) from exc


def _add(digest: Any, message: bytes) -> None:
    digest.update(len(message).to_bytes(8, "little"))
    digest.update(message)


def _system(address: str) -> tuple[AbstractFileSystem, str]:
    from fsspec.core import url_to_fs  # noqa: PLC0415 - a third of a second to import

    try:
        system, path = url_to_fs(address)
    except (ImportError, ValueError) as exc:
        raise ArchiveError(f"The address of the archive cannot be used: {exc}", archive=address) from exc
    return system, path


def _is_local(system: AbstractFileSystem) -> bool:
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415

    return isinstance(system, LocalFileSystem)
