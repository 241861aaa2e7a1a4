"""The settings that are files (secrets, shops, gateways): read as YAML, and what is wrong told by file and line."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from libs.common.errors import Misconfigured
from libs.domain.scenario.source import ScenarioError, Source, read

FORMS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping (`name: value`)",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list (`- item`)",
    "tuple_type": "must be a list (`- item`)",
    "model_type": "must be a mapping (`name: value`)",
    "path_type": "must be a path, as text",
    "string_type": "must be text: put it in quotes",
}
"""What a value must be, in other words than pydantic's."""


class SettingsFile:
    """A file's value, and (`source`) where each part of it stands."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.value: Any = source.value

    @classmethod
    def load(cls, path: str | os.PathLike[str], variable: str) -> Self:
        """Read a file that `variable` names; raises `Misconfigured`."""
        name = shown(path)
        try:
            return cls.of(Path(path).read_text("utf-8"), name)
        except FileNotFoundError:
            raise Misconfigured(f"{name}: no such file; write it, or let {variable} name another") from None
        except UnicodeDecodeError:
            raise Misconfigured(f"{name}: not a text file in UTF-8; {variable} must name a YAML file") from None
        except OSError as error:
            raise Misconfigured(f"{name}: {error.strerror}; {variable} must name a file that can be read") from None

    @classmethod
    def of(cls, text: str, name: str) -> Self:
        """Read a text; raises `Misconfigured`."""
        try:
            return cls(read(text, name))
        except ScenarioError as error:
            first = error.findings[0]
            hint = f"; {first.hint}" if first.hint else ""
            raise Misconfigured(f"{name}:{first.line}: {first.message}{hint}") from None

    def wrong(self, path: str, message: str) -> Misconfigured:
        """The complaint about the part at `path` (`gateways/0/url`), or about the nearest one above it."""
        found = self.source.finding(path, message)
        return Misconfigured(f"{found.file}:{found.line}: {message}")

    def misfit(self, above: str, error: ValidationError, known: Mapping[str, object]) -> Misconfigured:
        """The first complaint of a pydantic model about the part at `above`; `known` are the fields it may have."""
        first = error.errors(include_input=False, include_url=False)[0]
        steps = [str(step) for step in first["loc"]]
        name = steps[-1] if steps else above.rpartition("/")[2]
        path = "/".join(step for step in (above, *steps) if step)
        kind = first["type"]
        if kind == "missing":
            return self.wrong(path, f"{name} is missing")
        if kind == "extra_forbidden":
            return self.wrong(path, f"'{name}' is not known; known: {', '.join(known)}")
        if kind == "value_error":
            return self.wrong(path, f"{name}: {first['ctx']['error']}")
        said = FORMS.get(kind) or first["msg"].replace("Input should be", "must be")
        return self.wrong(path, f"{name} {said}")


def shown(path: str | os.PathLike[str]) -> str:
    """A path as people call it: from here when it is below here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
