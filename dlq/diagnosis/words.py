"""A diagnosis for people (markdown) and for programs (plain JSON types)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlq.diagnosis.facts import Facts
    from dlq.diagnosis.hypotheses import Diagnosis

_EVIDENCE = 6
_LINES = 10
_DIFF = 40


def as_dict(found: Diagnosis) -> dict[str, Any]:
    """Give a diagnosis as plain data."""
    return {
        "queue": found.queue,
        "cause": found.cause.value,
        "summary": found.summary,
        "hypotheses": [
            {
                "cause": guess.cause.value,
                "subject": guess.subject,
                "score": round(guess.score, 3),
                "confidence": guess.confidence,
                "text": guess.text,
                "evidence": list(guess.evidence),
            }
            for guess in found.hypotheses
        ],
        "symptoms": [
            {
                "family": seen.family.value,
                "subject": seen.subject,
                "messages": seen.messages,
                "share": round(seen.share, 4),
                "onset": seen.onset.at.isoformat() if seen.onset and seen.onset.sudden else None,
                "signatures": sorted(seen.keys),
            }
            for seen in found.symptoms
        ],
        "notes": list(found.notes),
    }


def markdown(found: Diagnosis, facts: Facts) -> str:
    """Write the chapter: the likeliest cause, the guesses with their evidence, the systems around, what is missing."""
    parts = [f"## Root cause: {found.cause.value}", "", _plain(found.summary), ""]
    for number, guess in enumerate(found.hypotheses, 1):
        parts += [f"{number}. **{guess.cause.value}** ({guess.confidence}, {guess.score:.2f}): {_plain(guess.text)}"]
        parts += [f"   - {_plain(line)}" for line in guess.evidence[:_EVIDENCE] if line != guess.text]
    parts += _around(facts)
    if found.notes:
        parts += ["", "### What is not known", "", *(f"- {_plain(note)}" for note in found.notes)]
    return "\n".join(parts) + "\n"


def _around(facts: Facts) -> list[str]:
    parts: list[str] = []
    if facts.workers:
        parts += ["", "### Workers", "", f"- {_plain(facts.workers.summary)}"]
        parts += [f"- {event.reason}: {_plain(event.text)} ({event.count} times)" for event in facts.workers.events[:5]]
    if facts.health:
        parts += ["", "### Health", "", f"- {_plain(facts.health.note)}"]
    if facts.rollouts or facts.commits:
        changes = [(rollout.at, rollout.summary) for rollout in facts.rollouts]
        changes += [(commit.at, commit.summary) for commit in facts.commits]
        lines = [f"- {at:%Y-%m-%d %H:%M}Z {_plain(text)}" for at, text in sorted(changes, reverse=True)[:_LINES]]
        parts += ["", "### Recent changes", "", *lines]
    if facts.config_diff:
        diff = facts.config_diff.replace("```", "` ` `").splitlines()[:_DIFF]
        parts += ["", "```diff", *diff, "```"]
    known = [(name, reading.value) for name, reading in facts.readings if reading.value is not None]
    if known:
        parts += ["", "### Metrics", "", *(f"- {name}: {value:,.2f}" for name, value in known)]
    if facts.lines:
        often = Counter((line.source, line.text) for line in facts.lines).most_common(_LINES)
        lines = [
            f"- `{text.replace('`', chr(39))}` ({_plain(source)}{f', {count} times' if count > 1 else ''})"
            for (source, text), count in often
        ]
        parts += ["", "### Log lines", "", *lines]
    return parts


def _plain(text: str) -> str:
    """Keep what an error text holds from becoming markup."""
    return text.replace("\n", " ").replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*")
