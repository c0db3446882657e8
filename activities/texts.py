"""Notices in words: a brief becomes one mail (HTML and plain text) or one text message.

Wording is one small plain-text file per kind and language; all HTML is in one layout, which escapes it. Templates
get strings and flags only (see `notice_fields`), and keep to a grammar that is checked when they are loaded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import mrml
from jinja2 import BaseLoader, Environment, StrictUndefined, select_autoescape
from jinja2 import Template as JinjaTemplate
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateSyntaxError

from activities import gsm7, samples
from activities.notice_fields import BriefError, Fields, MailFields, Wording, fields_of, mail_fields, shape_of
from lunas.company import Company
from lunas.ledger.briefs import NoticeBrief
from lunas.receivables.ladder import Channel, Do
from templates import ROOT, grammar
from templates.wording import LANGUAGES, Section, TemplateError, load_words, readable

__all__ = ["KINDS", "BriefError", "MailText", "TemplateError", "Texts"]

T = TypeVar("T")

#: What a customer can be written to about.
KINDS = (*(str(do) for do in Do if do.is_notice), "receipt", "promise_confirmed")

_LAYOUT_HTML, _LAYOUT_TEXT = "email/layout.mjml", "email/layout.txt"
_LAYOUTS = (_LAYOUT_HTML, _LAYOUT_TEXT)
_REQUIRED_BLOCKS = ("subject", "label", "message")
_OPTIONS = mrml.RenderOptions(fonts={})  # no font is fetched from anywhere
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class MailText:
    """One mail's words: a subject on one line, an HTML document, and the same as plain text."""

    subject: str
    html: str
    text: str


class Texts:
    """Renders notices for one creditor; files below `override` replace shipped ones of the same name.

    Its methods raise TemplateError where a template is missing or wrong, and BriefError where a brief cannot be
    put into words.
    """

    def __init__(self, company: Company, override: Path | None = None) -> None:
        self._company = company
        roots = (ROOT,) if override is None else (override, ROOT)
        self._words = {language: load_words(language, roots)["mail"] for language in LANGUAGES}
        phrases = frozenset.intersection(*(frozenset(words) for words in self._words.values()))
        self._loader = _CheckedLoader(roots, phrases)
        # In wording a blank line parts paragraphs, also after a tag; layouts are laid out for whoever edits them.
        self._wordings = _environment(self._loader, trim=False)
        self._layouts = _environment(self._loader, trim=True)
        self._digests: dict[tuple[str, Channel, str], str] = {}

    def mail(self, brief: NoticeBrief, pay_url: str, unsubscribe_url: str) -> MailText:
        """The mail that says what `brief` says; its button leads to `pay_url`."""
        words = self._words_of(brief.to.language)
        fields = fields_of(brief, self._company, words, pay_url)
        wording = self._wording(f"email/{brief.to.language}/{brief.kind}.txt", fields, words)
        layout = mail_fields(brief, self._company, words, fields, wording, unsubscribe_url)
        text = _BLANK_LINES.sub("\n\n", self._render(_LAYOUT_TEXT, layout)).strip() + "\n"
        return MailText(layout["subject"], self._html(layout), text)

    def sms(self, brief: NoticeBrief, pay_url: str) -> str:
        """The text message that says what `brief` says, on one line and in the characters cheapest to send."""
        language = brief.to.language
        fields = fields_of(brief, self._company, self._words_of(language), pay_url)
        return gsm7.plain(self._render(f"sms/{language}/{brief.kind}.txt", fields))

    def check(
        self,
        kinds: Iterable[str] = KINDS,
        languages: Iterable[str] = LANGUAGES,
        channels: Iterable[Channel] = tuple(Channel),
    ) -> None:
        """Render every such notice with sample data: at start-up, so that nothing is found missing on day 58."""
        url = "https://lunas.example/i/sample"
        channels = tuple(channels)
        kinds = tuple(kinds)
        for language in languages:
            self._words_of(language)
            for kind in kinds:
                for channel in channels:
                    for brief in samples.notices(kind, language, channel):
                        match channel:
                            case Channel.EMAIL:
                                self.mail(brief, url, url)
                            case Channel.SMS:
                                self.sms(brief, url)

    def digest(self, kind: str, channel: Channel, language: str) -> str:
        """Twelve hex digits that change with any template or phrase that such a notice is made from."""
        key = (kind, channel, language)
        if key not in self._digests:
            match channel:
                case Channel.EMAIL:
                    names = [f"email/{language}/{kind}.txt", _LAYOUT_HTML, _LAYOUT_TEXT]
                case Channel.SMS:
                    names = [f"sms/{language}/{kind}.txt"]
            parts = [repr(sorted(self._words_of(language).items())), *map(self._loader.read, names)]
            self._digests[key] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return self._digests[key]

    def _words_of(self, language: str) -> Section:
        if language not in self._words:
            raise BriefError(f"there is no wording for the language {language!r}: there are {', '.join(LANGUAGES)}")
        return self._words[language]

    def _wording(self, name: str, fields: Fields, words: Section) -> Wording:
        template = self._template(name)
        for block in _REQUIRED_BLOCKS:
            if block not in template.blocks:
                raise TemplateError(f"{name} has no {block}: add {{% block {block} %}}…{{% endblock %}}")

        def said(block: str, otherwise: str = "") -> str:
            if block not in template.blocks:
                return otherwise
            return _run(name, lambda: "".join(template.blocks[block](template.new_context({**fields}))))

        wording = Wording(
            subject=said("subject"),
            label=said("label"),
            message=said("message"),
            deadline=said("deadline"),
            button=said("button", words["pay_now"]),
        )
        for block in _REQUIRED_BLOCKS:
            if not readable(getattr(wording, block)):
                raise TemplateError(f"{name} says nothing in its block {block}")
        return wording

    def _html(self, layout: MailFields) -> str:
        source = self._render(_LAYOUT_HTML, layout)
        try:
            return mrml.to_html(source, render_options=_OPTIONS).content
        except OSError as error:  # what the library raises for MJML that it cannot read
            raise TemplateError(f"{_LAYOUT_HTML} is not valid MJML: {error}") from None

    def _render(self, name: str, fields: Fields) -> str:
        template = self._template(name)
        return _run(name, lambda: template.render({**fields}))

    def _template(self, name: str) -> JinjaTemplate:
        environment = self._layouts if name in _LAYOUTS else self._wordings
        return _run(name, lambda: environment.get_template(name))


class _CheckedLoader(BaseLoader):
    """Finds a template below the first root that has it, and lets through only what keeps to the grammar."""

    def __init__(self, roots: Sequence[Path], phrases: frozenset[str]) -> None:
        self._roots = roots
        self._wording = shape_of(Fields, phrases)
        self._layout = shape_of(MailFields, phrases)

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
        shape = self._layout if template in _LAYOUTS else self._wording
        grammar.check(environment.parse(source, template), template, shape)
        return source, None, None


def _environment(loader: BaseLoader, *, trim: bool) -> Environment:
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


def _run(name: str, step: Callable[[], T]) -> T:
    """Do one step of rendering; what Jinja or the grammar object to becomes a TemplateError with the file's name."""
    try:
        return step()
    except grammar.GrammarError as error:
        raise TemplateError(str(error)) from None
    except TemplateSyntaxError as error:
        raise TemplateError(f"{name}, line {error.lineno}: {error.message}") from None
    except (JinjaError, TypeError, RecursionError) as error:
        raise TemplateError(f"{name}: {error}") from None
