"""Which messages a run works on."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from dlq.durations import format_duration, parse_age
from dlq.errors import BadArgumentError
from dlq.messages.blanking import LONGEST
from dlq.messages.conditions import Condition
from dlq.messages.envelope import Envelope
from dlq.messages.signatures import OTHERS, Signature, signature_of

_SEARCHED: Final = 2_000  # characters a regular expression gets to see, since a bad one may take very long
_KEY: Final = re.compile(r"[0-9a-f]{4,8}")
_FROZEN = ConfigDict(frozen=True, extra="forbid")


class Selector(BaseModel):
    """What a message must be like to be selected; everything that is said must hold, of each list one item.

    `corrupted` False selects the healthy, True the corrupted, None both. What is asked about the content of a
    message never holds for a corrupted one, except its signature. Ages are relative to `now`, which the run
    records, so that a resumed run selects the same.
    """

    model_config = _FROZEN

    types: tuple[str, ...] = ()
    signatures: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    error: str | None = None
    older_than: timedelta | None = None
    newer_than: timedelta | None = None
    now: AwareDatetime | None = None
    attempts_min: int | None = Field(default=None, ge=0)
    where: tuple[Condition, ...] = ()
    corrupted: bool | None = False

    _regex: re.Pattern[str] | None = PrivateAttr(default=None)
    _not_after: float | None = PrivateAttr(default=None)
    _not_before: float | None = PrivateAttr(default=None)
    _known: dict[Signature | str, bool] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(
        cls,
        now: datetime,
        *,
        older_than: str | None = None,
        newer_than: str | None = None,
        zone: tzinfo = UTC,
        **said: object,
    ) -> Self:
        """Build from what was typed: ages are durations or timestamps in `zone`, the rest are fields."""
        ages = {"older_than": older_than, "newer_than": newer_than}
        parsed = {name: parse_age(age, now, zone) for name, age in ages.items() if age}
        return cls.model_validate({**said, **parsed, "now": now})

    @field_validator("where", mode="before")
    @classmethod
    def _conditions(cls, where: object) -> object:
        if isinstance(where, str):
            where = (where,)
        if not isinstance(where, list | tuple):
            return where
        return [Condition.parse(item) if isinstance(item, str) else item for item in where]

    @field_validator("older_than", "newer_than")
    @classmethod
    def _past(cls, age: timedelta | None) -> timedelta | None:
        if age is not None and age < timedelta(0):
            raise BadArgumentError("An age cannot be negative.")
        return age

    @model_validator(mode="after")
    def _has_now(self) -> Self:
        if self.now is None and (self.older_than is not None or self.newer_than is not None):
            raise BadArgumentError("Ages need the moment that they count from.")
        return self

    def model_post_init(self, _context: object) -> None:
        """Compile the regular expression and turn ages into moments, once."""
        if self.error is not None:
            try:
                self._regex = re.compile(self.error)
            except (re.error, OverflowError, RecursionError) as exc:
                raise BadArgumentError(f"{self.error!r} is not a regular expression: {exc}.") from exc
        if self.now is not None:
            now = self.now.timestamp()
            self._not_after = None if self.older_than is None else now - self.older_than.total_seconds()
            self._not_before = None if self.newer_than is None else now - self.newer_than.total_seconds()

    @property
    def is_everything(self) -> bool:
        """Whether there is nothing that a message could fail, corrupted or not."""
        return self.corrupted is None and not self.asks_content and not self.signatures

    @property
    def everything(self) -> bool:
        """Whether it takes each healthy message and no other: the usual drain."""
        return self.corrupted is False and not self.asks_content and not self.signatures

    @property
    def asks_content(self) -> bool:
        """Whether anything is asked about type, error, age, attempts or fields."""
        asked = (self.error, self.older_than, self.newer_than, self.attempts_min)
        return bool(self.types or self.where) or any(item is not None for item in asked)

    def matches(self, envelope: Envelope, signature: Signature | str) -> bool:
        """Decide about one message, given its signature or the key of that."""
        corrupt = envelope.corruption is not None
        if self.corrupted is not None and corrupt is not self.corrupted:
            return False
        if self.signatures and not self._names(signature, envelope):
            return False
        if not self.asks_content:
            return True
        return not corrupt and envelope.body is not None and self._fits(envelope, envelope.body)

    def by_signature(self, signature: Signature, *, corrupted: bool) -> bool | None:
        """Decide for all messages of one signature at once; None when each message has to be looked at."""
        if self.corrupted is not None and corrupted is not self.corrupted:
            return False
        if signature == OTHERS and (self.signatures or self.asks_content):
            return None
        if not any(_is_meant(said, signature.key, signature) for said in self.signatures or (signature.key,)):
            return False
        if corrupted or not self.asks_content:
            return not self.asks_content
        if self.types and len(signature.type) < LONGEST and signature.type not in self.types:
            return False
        only_types = not self.model_copy(update={"types": ()}).asks_content
        return True if only_types and len(signature.type) < LONGEST else None

    def resolve(self, known: Iterable[Signature]) -> Self:
        """Replace texts and prefixes of signatures by full keys; BadArgumentError for none or several."""
        keys = {signature.key: signature for signature in known}
        full = []
        for said in self.signatures:
            found = [key for key, signature in keys.items() if _is_meant(said, key, signature)]
            exact = [key for key in found if key == said]
            if len(exact or found) != 1:
                several = ", ".join(sorted(found)[:5])
                problem = f"names several: {several}" if found else "is not among the signatures of the queue"
                raise BadArgumentError(f"The signature {said!r} {problem}. `dlq assess` lists them with their keys.")
            full += exact or found
        return self.model_validate({**dict(self), "signatures": tuple(full)})

    def at(self, now: datetime) -> Self:
        """Give the selector with ages counted from another moment."""
        return self.model_validate({**dict(self), "now": now})

    def describe(self) -> str:
        """Say in one line what is selected."""
        kind = {None: "all messages", False: "healthy messages", True: "corrupted messages"}[self.corrupted]
        parts = [
            self.types and f"of type {' or '.join(self.types)}",
            self.signatures and f"with signature {' or '.join(self.signatures)}",
            self.error is not None and f"whose error matches /{self.error}/",
            self.older_than is not None and f"failed at least {format_duration(self.older_than)} ago",
            self.newer_than is not None and f"failed within the last {format_duration(self.newer_than)}",
            self.attempts_min is not None and f"after {self.attempts_min} attempts or more",
            self.where and "where " + " and ".join(map(str, self.where)),
        ]
        return " ".join((kind, ", ".join(part for part in parts if part))).strip().replace("\n", " ")

    def _fits(self, envelope: Envelope, body: dict[str, Any]) -> bool:
        """Check what is asked about the content of a message; unknown ages and attempts do not fit."""
        if self.types and envelope.type not in self.types:
            return False
        if self.attempts_min is not None and (envelope.attempts is None or envelope.attempts < self.attempts_min):
            return False
        if not self._age_fits(envelope.failed_at) or not all(condition.matches(body) for condition in self.where):
            return False
        if self._regex is None:
            return True
        text = ": ".join(filter(None, (envelope.error_class, envelope.error)))
        return self._regex.search(text[:_SEARCHED]) is not None

    def _age_fits(self, failed_at: float | None) -> bool:
        """Check the age, where one is asked for."""
        if self._not_after is None and self._not_before is None:
            return True
        if failed_at is None or (self._not_after is not None and failed_at > self._not_after):
            return False
        return self._not_before is None or failed_at >= self._not_before

    def _names(self, signature: Signature | str, envelope: Envelope) -> bool:
        """Say whether the signature of a message is selected; worked out once for each signature."""
        found = self._known.get(signature)
        if found is None:
            full = signature_of(envelope) if isinstance(signature, str) or signature == OTHERS else signature
            found = any(_is_meant(said, full.key, full) for said in self.signatures)
            if signature != OTHERS:
                self._known[signature] = found
        return found


def _is_meant(said: str, key: str, signature: Signature) -> bool:
    """Say whether a key, the beginning of one (4 characters or more), or a text means the signature."""
    if _KEY.fullmatch(said) and key.startswith(said):
        return True
    return said in (signature.text, str(signature))
