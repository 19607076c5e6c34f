"""Texts for Slack: escaped, within its limits, and without a mention that nobody meant."""

from __future__ import annotations

import re

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)")  # an underscore within a word marks nothing, and is often copied
_ZERO_WIDTH = "\u200b"


def escaped(text: str) -> str:
    """Escape what Slack reads as markup: `<!channel>` in an error text must ring nobody's telephone.

    See https://docs.slack.dev/messaging/formatting-message-text#escaping. Marks such as `*` lose their power too.
    """
    plain = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], text)
    return _MARKS.sub(lambda found: f"{_ZERO_WIDTH}{found[0]}", plain)


def cut(text: str, most: int) -> str:
    """Cut an escaped text to `most` characters, at a line's end if one is near, never within an entity."""
    if len(text) <= most:
        return text
    short = text[: most - 1]
    line = short.rfind("\n")
    short = short[:line] if line > most // 2 else re.sub(r"(&[a-z]{0,3}|<[^>]*)$", "", short)
    return f"{short}…"


def plain(text: str, most: int) -> str:
    """Make one line of plain text, which Slack does not read as markup; never empty, since Slack refuses that."""
    line = " ".join(text.split()) or "-"
    return line if len(line) <= most else f"{line[: most - 1]}…"


def link(address: str, words: str) -> str:
    """Make a link; an address that is no web address stays a text."""
    if not re.fullmatch(r"https?://[^\s<>|]+", address):
        return escaped(address)
    return f"<{address}|{escaped(words)}>"


def mention(who: str) -> str:
    """Make a mention of a user (U… or W…), a user group (S…), or `here`, `channel`, `everyone`; else a plain text."""
    if re.fullmatch(r"[UW][A-Z0-9]{2,}", who):
        return f"<@{who}>"
    if re.fullmatch(r"S[A-Z0-9]{2,}", who):
        return f"<!subteam^{who}>"
    return f"<!{who}>" if who in {"here", "channel", "everyone"} else escaped(who)


def bar(part: float, width: int = 20) -> str:
    """Draw a progress bar; it is full only when nothing is missing."""
    full = int(max(0.0, min(1.0, part)) * width)
    return "█" * full + "░" * (width - full)
