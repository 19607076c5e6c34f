"""How a parameter of a flow becomes a field of Prefect's form, and how a wrong value is refused.

Seen on Prefect 3.8.8: the form is made from the JSON Schema of the flow's parameters, and Prefect makes that schema
when the flow is decorated, which is when its file is imported. It puts the parameter's name in place of the title and
drops the description of an annotated type, but leaves what stands in `json_schema_extra`. A type that may be None
becomes two buttons, "list" and "None", in place of a field: so the schema says the plain type, and an empty field
means None. The server checks parameters against the schema before it creates a run; what a schema cannot say is
checked when the run begins, before its first step, and the message names the field.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from dlq.config.settings import load_settings
from dlq.durations import parse_age
from dlq.errors import DlqError
from dlq.fields import FieldPath
from dlq.messages.conditions import Condition
from dlq.messages.edits import Edit

ALL = "all"
"""Stands for every queue, where a flow looks only."""

TEXT: JsonDict = {"type": "string"}
TEXTS: JsonDict = {"type": "array", "items": {"type": "string", "minLength": 1}}
COUNT: JsonDict = {"type": "integer", "minimum": 0}
OBJECT: JsonDict = {"type": "object"}
"""A line of JSON in the form; with its properties named it would be a field for each, for people to fill in."""


def described(title: str, description: str, **bounds: Any) -> FieldInfo:
    """Make a field whose title and description reach the form. One of its UIs shows Markdown as it is typed."""
    extra: JsonDict = {"title": title, "description": description}
    field: FieldInfo = Field(title=title, description=description, json_schema_extra=extra, **bounds)
    return field


def optional(title: str, description: str, blank: Any) -> FieldInfo:
    """Make a field that may be left as it is; `blank` is what the form begins with and sends then."""
    extra: JsonDict = {"title": title, "description": description, "default": blank}
    field: FieldInfo = Field(title=title, description=description, json_schema_extra=extra)
    return field


@dataclass(frozen=True, slots=True)
class Plain:
    """Show a type that may be None as a plain field, and read an empty one as None.

    `check` is called with each text in it, and raises a DlqError for one that cannot be used.
    """

    schema: JsonDict
    check: Callable[[Any], object] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put blank values and the check around the type's own validation."""
        checked = core_schema.no_info_after_validator_function(self._checked, handler(source))
        return core_schema.no_info_before_validator_function(_none_if_blank, checked)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonDict:
        """Give the form's type in place of the choice between it and None."""
        return dict(self.schema)

    def _checked(self, value: Any) -> Any:
        if self.check is not None and value is not None:
            for part in value if isinstance(value, list) else [value]:
                _refused_by(self.check, part)
        return value


@dataclass(frozen=True, slots=True)
class QueueChoice:
    """Offer the names of the configured queues, and refuse any other; `everyone` adds "all"."""

    everyone: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Look the name up after the type's own validation."""
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonDict:
        """Add the choices as they are when the deployment is made; without readable settings it is a text field."""
        try:
            names = list(load_settings().queues)
        except DlqError:  # the flow says it when it runs; importing it must not fail
            return handler(schema)
        return {**handler(schema), "enum": [*([ALL] if self.everyone and ALL not in names else []), *names]}

    def _known(self, name: str) -> str:
        if not (self.everyone and name == ALL):
            _refused_by(lambda said: load_settings().queue(said), name)
        return name


def regular_expression(text: str) -> None:
    """Refuse what is no regular expression."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{text!r} is not a regular expression: {exc}.") from exc


def age(text: str) -> None:
    """Refuse what is neither a duration nor a moment that has passed."""
    parse_age(text, datetime.now(UTC))


def condition(text: str) -> None:
    """Refuse what is not `FIELD=VALUE` or `FIELD!=VALUE`."""
    Condition.parse(text)


def assignment(text: str) -> None:
    """Refuse what is not `FIELD=VALUE`."""
    Edit(set=(text,))


def field_path(text: str) -> None:
    """Refuse what is not the path of a field."""
    FieldPath.parse(text)


def _none_if_blank(value: Any) -> Any:
    """Read an empty text, list or object and the number 0 as "nothing said"."""
    return None if value in ("", [], {}, 0) and value is not False else value


def _refused_by(check: Callable[[Any], object], value: Any) -> None:
    """Turn an error of ours into the one that pydantic puts beside the field's name."""
    try:
        check(value)
    except DlqError as exc:
        raise ValueError(str(exc)) from exc
