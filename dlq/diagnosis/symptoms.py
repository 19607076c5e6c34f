"""Signatures put together by what they have in common: the kind of failure, and the system that it speaks of."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlq.diagnosis.families import Family, family_of, subject_of
from dlq.diagnosis.onset import Onset, merged, onset

if TYPE_CHECKING:
    from dlq.diagnosis.facts import Facts
    from dlq.engine.assess import SignatureCount


_MOST = 0.8  # of a symptom's messages: then one error class names it


@dataclass(frozen=True, slots=True)
class Symptom:
    """One kind of failure. `share` is of all messages that were read, 0 to 1; `name` is what most of it is called."""

    family: Family
    subject: str
    name: str
    messages: int
    share: float
    onset: Onset | None
    signatures: tuple[SignatureCount, ...]

    @property
    def summary(self) -> str:
        """Say it in a few words, such as `87 % are TimeoutError from payment-gateway, since 12:03`."""
        since = f", since {self.onset.at:%m-%d %H:%M}Z" if self.onset and self.onset.sudden else ""
        subject = f" from {self.subject}" if self.subject else ""
        return f"{self.share:.0%} are {self.name}{subject}{since}"

    @property
    def keys(self) -> frozenset[str]:
        """Give the keys of its signatures."""
        return frozenset(seen.signature.key for seen in self.signatures)


def symptoms(facts: Facts) -> list[Symptom]:
    """Give the symptoms of an assessment, the most frequent first."""
    texts: dict[str, str] = {}
    for sample in facts.samples:
        texts.setdefault(sample.signature, sample.error)
    groups: dict[tuple[Family, str], list[SignatureCount]] = defaultdict(list)
    for seen in facts.assessment.signatures:
        signature = seen.signature
        # An example still has the numbers and hosts that the signature's text has not.
        told = f"{signature.text} {texts.get(signature.key, '')}"
        family = family_of(signature.error_class, told)
        subject = (
            subject_of(told) if family not in (Family.CODE, Family.CORRUPTION, Family.SCHEMA, Family.OTHER) else ""
        )
        own = signature.error_class or signature.text[:60] if family in (Family.OTHER, Family.CODE) else subject
        groups[family, own].append(seen)
    read = max(1, facts.assessment.read)
    first = min((minute for seen in facts.assessment.signatures for minute in seen.per_minute), default=None)
    found = [_symptom(family, own, group, read, first) for (family, own), group in groups.items()]
    return sorted(found, key=lambda symptom: -symptom.messages)


def _name(group: list[SignatureCount], messages: int) -> str:
    """Name the error class of most messages; two of them where one alone would hide the other."""
    totals: Counter[str] = Counter()
    for seen in group:
        totals[seen.signature.error_class or seen.signature.text[:60] or "without an error"] += seen.count
    (commonest, count), *others = totals.most_common(2)
    if others and count < messages * _MOST:
        return f"{commonest} and {others[0][0]}"
    return commonest


def _symptom(family: Family, own: str, group: list[SignatureCount], read: int, looked_from: int | None) -> Symptom:
    group.sort(key=lambda seen: -seen.count)
    messages = sum(seen.count for seen in group)
    first = group[0].signature
    name = _name(group, messages)
    if family in (Family.CORRUPTION, Family.SCHEMA) and first.error_class == "corrupted":
        name = f"corrupted ({first.text})"
    subject = "" if family in (Family.OTHER, Family.CODE) else own
    began = onset(merged([seen.per_minute for seen in group]), looked_from)
    return Symptom(family, subject, name, messages, messages / read, began, tuple(group))
