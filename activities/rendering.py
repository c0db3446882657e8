"""Templates made fit to run: found below one of several roots, checked against the grammar, and told apart by name.

Every message goes through here, whoever reads it, so that a bad template is found when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from jinja2 import BaseLoader, Environment, StrictUndefined, select_autoescape
from jinja2 import Template as JinjaTemplate
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateSyntaxError

from templates import grammar
from templates.wording import TemplateError

T = TypeVar("T")


class CheckedLoader(BaseLoader):
    """Finds a template below the first root that has it, and lets through only what keeps to the grammar.

    `shape_for` says by its name which fields a template may speak of.
    """

    def __init__(self, roots: Sequence[Path], shape_for: Callable[[str], grammar.Shape]) -> None:
        self._roots = roots
        self._shape_for = shape_for

    def read(self, name: str) -> str:
        """The source of a template. Raises TemplateError where there is none, or no readable one."""
        for root in self._roots:
            path = root / name
            if path.is_file():
                try:
                    source = path.read_text("utf-8")
                except UnicodeDecodeError as error:
                    raise TemplateError(f"{name} is not UTF-8: {error}") from None
                if len(source) > grammar.LONGEST_SOURCE:
                    raise TemplateError(f"{name} is longer than {grammar.LONGEST_SOURCE} characters")
                return source
        raise TemplateError(f"the template {name} is missing: write it, or take its rung out of the policy")

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Jinja's way in; the parsed source is checked here, before anything is compiled from it."""
        source = self.read(template)
        grammar.check(environment.parse(source, template), template, self._shape_for(template))
        return source, None, None


def environment_for(loader: BaseLoader, *, trim: bool) -> Environment:
    """An environment with nothing in it to call. `trim`: a line with only a tag leaves no line behind."""
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(enabled_extensions=("mjml",)),  # wording is plain text
        undefined=StrictUndefined,
        trim_blocks=trim,
        lstrip_blocks=trim,
        auto_reload=False,
        cache_size=-1,
    )
    environment.globals.clear()
    return environment


def say(name: str, template: JinjaTemplate, block: str, fields: Mapping[str, object]) -> str:
    """What one block of a template says."""
    return run(name, lambda: "".join(template.blocks[block](template.new_context({**fields}))))


def run(name: str, step: Callable[[], T]) -> T:
    """Do one step of rendering; what Jinja or the grammar object to becomes a TemplateError with the file's name."""
    try:
        return step()
    except grammar.GrammarError as error:
        raise TemplateError(str(error)) from None
    except TemplateSyntaxError as error:
        raise TemplateError(f"{name}, line {error.lineno}: {error.message}") from None
    except (JinjaError, TypeError, RecursionError) as error:
        raise TemplateError(f"{name}: {error}") from None
