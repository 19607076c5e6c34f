"""JSON Schemas of healthy messages."""

import re
from typing import TYPE_CHECKING

from jsonschema import validators
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from dlq.errors import ConfigError
from dlq.fields import Json

if TYPE_CHECKING:
    from referencing._core import Resolver  # referencing gives resolvers out, but exports the name nowhere

_DATA_KEYWORDS = frozenset({"const", "enum", "default", "examples"})
_LONGEST_PATH = 100


class SchemaCheck:
    """Says why a body fails a schema, without showing the value."""

    def __init__(self, schema: dict[str, Json]) -> None:
        """Compile the schema; ConfigError when it is not one, or refers to what is not in it."""
        if not isinstance(schema, dict):
            raise ConfigError("The JSON Schema is not an object.")
        # A registry of its own keeps jsonschema from fetching a $ref from the network.
        self._validator = validators.validator_for(schema)(schema, registry=Registry())
        try:
            self._validator.check_schema(schema)
            resource = DRAFT202012.create_resource(schema)
            _check(schema, Registry().resolver_with_root(resource))
        except SchemaError as exc:
            raise ConfigError(f"The JSON Schema is not valid at {exc.json_path}: {exc.message}.") from exc
        except Unresolvable as exc:
            raise ConfigError(f"The JSON Schema refers to {exc.ref!r}, which it does not hold.") from exc
        except re.error as exc:
            raise ConfigError(f"The JSON Schema has a pattern that is no regular expression: {exc}.") from exc

    def reason(self, body: dict[str, Json]) -> str | None:
        """Give `PATH: VALIDATOR` of the first failure; without indexes, so that alike ones count together."""
        failure = next(self._validator.iter_errors(body), None)
        if failure is None:
            return None
        path = re.sub(r"\[\d+\]", "[]", failure.json_path)
        return f"{path[:_LONGEST_PATH]}: {failure.validator}"


def _check(node: Json, resolver: "Resolver[Json]") -> None:
    """Look up each $ref and compile each pattern once, so that reading messages cannot meet a broken one."""
    if isinstance(node, list):
        for item in node:
            _check(item, resolver)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("$id"), str):
        resolver = resolver.in_subresource(DRAFT202012.create_resource(node))
    if isinstance(node.get("$ref"), str):
        resolver.lookup(node["$ref"])
    named = node.get("patternProperties")
    for pattern in (node.get("pattern"), *(named if isinstance(named, dict) else ())):
        if isinstance(pattern, str):
            re.compile(pattern)
    for key, value in node.items():
        if key not in _DATA_KEYWORDS:
            _check(value, resolver)
