"""What a message in Slack looks like: blocks within Slack's limits, whatever an incident brings.

Limits: 50 blocks; 150 characters in a header, 3,000 in a section, 2,000 in a field and in a button's value; 10 fields.
See https://docs.slack.dev/reference/block-kit/blocks.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from dlq.notices.incident import Incident, State
from dlq.notices.slack_text import bar, cut, escaped, link, mention, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from dlq.notices.incident import Verdict
    from dlq.notices.notice import Notice

HEADER, SECTION, FIELD, NOTICE, BUTTON = 150, 3_000, 2_000, 2_900, 75
VERDICTS_SHOWN = 12
_LONGEST_SIGNATURE = 150
"""Of this length all lines of verdicts fit into one section."""
_MOST_LINKS = 8
APPROVE, REJECT = "dlq_approve", "dlq_reject"
Block = dict[str, Any]

_SIGNS = {
    State.OPEN: "🔴",
    State.ASSESSED: "🔴",
    State.WAITING: "✋",
    State.DRAINING: "🔄",
    State.VERIFYING: "🔎",
    State.PENDING: "⏳",
    State.RESOLVED: "✅",
    State.PARTIAL: "🟡",
    State.STOPPED: "🛑",
    State.FAILED: "❌",
}
_VERDICT_SIGNS = {"delivered": "✅", "stopped": "🛑", "bounced": "❌", "pending": "⏳", "partial": "🟡"}


def incident_message(incident: Incident) -> tuple[str, list[Block]]:
    """Give the text for notifications and the blocks of an incident's one message."""
    title = f"{_SIGNS[incident.state]} {incident.queue}: {incident.state}"
    blocks = [_header(title), _section(_summary(incident))]
    if counts := _counts(incident):
        blocks.append({"type": "section", "fields": [_mrkdwn(text, FIELD) for text in counts]})
    if (part := incident.progress) is not None:
        blocks.append(
            _section(f"`{bar(part)}` {100 * part:.0f} % · {incident.selected:,} of {incident.planned:,} messages")
        )
    if incident.verdicts:
        blocks.append(_section("\n".join(_verdict_lines(incident.verdicts))))
    blocks += _question(incident)
    if incident.links:
        links = (link(address, words) for words, address in list(incident.links.items())[:_MOST_LINKS])
        blocks.append(_section(" · ".join(links)))
    blocks.append(_context(f"run {escaped(incident.run_id)}{_since(incident.opened_at)}"))
    text = f"{title}. {incident.headline}"
    return cut(escaped(text), SECTION), blocks


def notice_message(notice: Notice, mentions: dict[str, str]) -> tuple[str, list[Block]]:
    """Give the text and the blocks of a notice; a level that is called mentions its people."""
    called = mentions.get(str(notice.level)) if notice.level else None
    first = f"*{escaped(notice.title)}*"
    if called:
        first = f"{' '.join(mention(who) for who in called.split())} {first}"
    parts = [cut(first, SECTION)]
    if notice.text:
        parts.append(cut(escaped(notice.text), NOTICE))
    blocks = [_section(part) for part in parts]
    if notice.link:
        blocks.append(_section(link(notice.link, "Open")))
    if not notice.run_id:
        blocks.append(_context(escaped(notice.queue)))
    return cut(first, SECTION), blocks


def lines_message(lines: Sequence[str]) -> tuple[str, list[Block]]:
    """Give the text and the blocks of lines of a timeline; of too many the last ones."""
    kept = list(lines)
    while len(text := "\n".join(escaped(line) for line in kept)) > NOTICE and len(kept) > 1:
        kept = kept[max(1, len(kept) // 8) :]
    if len(kept) < len(lines):
        text = f"({len(lines) - len(kept)} earlier lines are in the report)\n{text}"
    return cut(text, SECTION), [_context(text)]


def button_value(incident: Incident) -> str:
    """Give what a pressed button tells us: which plan of which run of which queue."""
    plan = incident.question.plan if incident.question else ""
    return orjson.dumps({"queue": incident.queue, "run": incident.run_id, "plan": plan}).decode()


def _summary(incident: Incident) -> str:
    facts = [f"*{escaped(incident.state.capitalize())}*"]
    facts += [f"severity {escaped(incident.severity)}"] if incident.severity else []
    facts += [f"level {incident.level} is called"] if incident.level else []
    return "\n".join(filter(None, (" · ".join(facts), escaped(incident.headline))))


def _counts(incident: Incident) -> list[str]:
    """Give the counts that are known, at most ten."""
    depth = None if incident.depth is None else f"{incident.depth:,}"
    if depth is not None and incident.depth_first is not None and incident.depth_first != incident.depth:
        depth = f"{depth} (was {incident.depth_first:,})"
    named = {"In the DLQ": depth}
    for name in ("live", "selected", "delivered", "bounced", "pending", "quarantined", "unexplained"):
        count = getattr(incident, name)
        named[name.capitalize()] = None if count is None else f"{count:,}"
    return [f"*{name}*\n{count}" for name, count in named.items() if count is not None]


def _verdict_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Give a line for each of the signatures with the most messages, and one for all others."""
    ranked = sorted(verdicts, key=lambda verdict: (verdict.word != "stopped", -verdict.redriven))
    for verdict in ranked[:VERDICTS_SHOWN]:
        name = cut(escaped(plain(verdict.signature, _LONGEST_SIGNATURE)), _LONGEST_SIGNATURE)
        sign = _VERDICT_SIGNS.get(verdict.word, "▫️")
        yield f"{sign} {name}: {verdict.word}, {verdict.redriven:,} redriven, {verdict.bounced:,} bounced"
    rest = Counter(verdict.word for verdict in ranked[VERDICTS_SHOWN:])
    if rest:
        words = ", ".join(f"{count:,} {word}" for word, count in rest.most_common())
        yield f"and {rest.total():,} more signatures: {words}"


def _question(incident: Incident) -> list[Block]:
    if incident.decision:
        return [_section(escaped(incident.decision))]
    if incident.question is None or incident.state.over:
        return []
    value = button_value(incident)
    ask = "The plan is carried out as it stands here; it is void when the queue has changed."
    return [
        _section(cut(escaped(incident.question.text), NOTICE) or "A plan waits for approval."),
        {
            "type": "actions",
            "block_id": "dlq_question",
            "elements": [
                _button("Approve", APPROVE, value, "primary", ask),
                _button("Reject", REJECT, value, "danger", "Nothing will be moved."),
            ],
        },
    ]


def _button(words: str, action: str, value: str, style: str, ask: str) -> Block:
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": plain(words, BUTTON)},
        "action_id": action,
        "value": value,
        "style": style,
        "confirm": {
            "title": {"type": "plain_text", "text": f"{words}?"},
            "text": {"type": "plain_text", "text": ask},
            "confirm": {"type": "plain_text", "text": words},
            "deny": {"type": "plain_text", "text": "Cancel"},
        },
    }


def _since(opened: datetime | None) -> str:
    """Show a moment in each reader's own time zone."""
    if opened is None:
        return ""
    return f" · since <!date^{int(opened.timestamp())}^{{date_short_pretty}} {{time}}|{opened:%Y-%m-%d %H:%M} UTC>"


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": plain(text, HEADER), "emoji": True}}


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text, SECTION)}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text, SECTION)]}


def _mrkdwn(text: str, most: int) -> Block:
    return {"type": "mrkdwn", "text": cut(text, most) or "-"}
