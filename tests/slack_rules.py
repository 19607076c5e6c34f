"""The limits of Slack's messages, as its documentation gives them, for the fake Slack to refuse what is over them.

See https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/methods/chat.postMessage.
"""

from typing import Any

MOST_BLOCKS = 50
TEXTS = {"header": 150, "section": 3_000, "field": 2_000, "context": 3_000, "button": 75, "confirm": 300}


def problems(message: dict[str, Any]) -> list[str]:
    """List what Slack would refuse in a message; nothing in a good one."""
    blocks = message.get("blocks") or []
    found = [f"{len(blocks)} blocks"] if len(blocks) > MOST_BLOCKS else []
    if not message.get("text"):
        found.append("no text for notifications")
    if len(message.get("text", "")) > 4_000:
        found.append("text is too long")
    names = [block["block_id"] for block in blocks if "block_id" in block]
    if len(names) != len(set(names)):
        found.append("two blocks of one id")
    for block in blocks:
        found += _CHECKS.get(block.get("type", ""), _unknown)(block)
    return found


def _unknown(block: dict[str, Any]) -> list[str]:
    return [f"a block of the unknown type {block.get('type')}"]


def _text(part: dict[str, Any], most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> list[str]:
    text = part.get("text", "")
    if part.get("type") not in kinds:
        return [f"a text of the type {part.get('type')}"]
    return [] if 1 <= len(text) <= most else [f"a text of {len(text)} characters, at most {most}"]


def _header(block: dict[str, Any]) -> list[str]:
    return _text(block["text"], TEXTS["header"], ("plain_text",))


def _section(block: dict[str, Any]) -> list[str]:
    fields = block.get("fields", [])
    found = _text(block["text"], TEXTS["section"]) if "text" in block else []
    if not fields and "text" not in block:
        found.append("a section of nothing")
    if len(fields) > 10:
        found.append(f"{len(fields)} fields")
    return found + [problem for field in fields for problem in _text(field, TEXTS["field"])]


def _context(block: dict[str, Any]) -> list[str]:
    elements = block["elements"]
    found = [] if 1 <= len(elements) <= 10 else [f"{len(elements)} elements in a context"]
    return found + [problem for element in elements for problem in _text(element, TEXTS["context"])]


def _actions(block: dict[str, Any]) -> list[str]:
    elements = block["elements"]
    found = [] if 1 <= len(elements) <= 25 else [f"{len(elements)} elements in actions"]
    if len({element.get("action_id") for element in elements}) != len(elements):
        found.append("two elements of one action_id")
    for element in elements:
        if element.get("type") != "button":
            found.append(f"an element of the type {element.get('type')}")
            continue
        found += _text(element["text"], TEXTS["button"], ("plain_text",))
        for name, most in (("value", 2_000), ("url", 3_000), ("action_id", 255)):
            if len(element.get(name, "")) > most:
                found.append(f"a button's {name} of {len(element[name])} characters")
        if "confirm" in element:
            found += _text(element["confirm"]["text"], TEXTS["confirm"])
    return found


_CHECKS = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "divider": lambda _block: [],
}
