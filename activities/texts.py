"""Notices in words: a brief becomes one mail (HTML and plain text) or one text message.

Wording is one small plain-text file per kind and language; all HTML is in one layout, which escapes it. Templates
get strings and flags only (see `notice_fields`), and keep to a grammar that is checked when they are loaded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import mrml
from jinja2 import Template as JinjaTemplate

from activities import gsm7, samples
from activities.notice_fields import (
    Fields,
    MailFields,
    Wording,
    fields_of,
    mail_fields,
    shape_of,
    short_ways,
)
from activities.rendering import CheckedLoader, environment_for, run, say
from lunas.briefs import BriefError, NoticeBrief
from lunas.company import Company
from lunas.receivables.ladder import Channel, Do
from templates.wording import LANGUAGES, Section, TemplateError, load_words, readable, roots_of

__all__ = ["KINDS", "BriefError", "MailText", "TemplateError", "Texts"]

#: What a customer can be written to about.
KINDS = (*(str(do) for do in Do if do.is_notice), "receipt", "promise_confirmed")

#: A text message names as many ways to pay as fit in so many segments.
MOST_SEGMENTS = 2

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
        roots = roots_of(override)
        self._words = {language: load_words(language, roots)["mail"] for language in LANGUAGES}
        phrases = frozenset.intersection(*(frozenset(words) for words in self._words.values()))
        wording, layout = shape_of(Fields, phrases), shape_of(MailFields, phrases)
        self._loader = CheckedLoader(roots, lambda name: layout if name in _LAYOUTS else wording)
        # In wording a blank line parts paragraphs, also after a tag; layouts are laid out for whoever edits them.
        self._wordings = environment_for(self._loader, trim=False)
        self._layouts = environment_for(self._loader, trim=True)
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
        words, name = self._words_of(language), f"sms/{language}/{brief.kind}.txt"
        for count in range(len(short_ways(brief, words)), 0, -1):
            fields = fields_of(brief, self._company, words, pay_url, count)
            message = gsm7.plain(self._render(name, fields))
            if gsm7.segments(message) <= MOST_SEGMENTS:
                return message
        return gsm7.plain(self._render(name, fields_of(brief, self._company, words, pay_url)))

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
            return say(name, template, block, fields) if block in template.blocks else otherwise

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
        return run(name, lambda: template.render({**fields}))

    def _template(self, name: str) -> JinjaTemplate:
        environment = self._layouts if name in _LAYOUTS else self._wordings
        return run(name, lambda: environment.get_template(name))
