"""The lifecycle as operations staff read it: the table in Markdown, and a diagram of the stages in Mermaid.

Both are made from the objects that the machine runs, so that they cannot say anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lunas.receivables import events as on
from lunas.receivables.invoice import OWN_CHASING, Stage
from lunas.receivables.lifecycle import GROUPS, IGNORED, REFUSED, TABLE, Back, Rule, Stages
from lunas.receivables.words import doc_words, event_name, name_words, request_words, stage_words

_COLUMNS = ("when the invoice is", "and", "only when", "it becomes", "and we")
_NOTHING = "–"
_BACK_WORDS = {
    "before_research": "what it was before the search",
    "before_agency": "what it was before the agency",
    "before_close": "what it was before the end",
}
_FAMILIES: tuple[tuple[str, tuple[type[on.Event], ...]], ...] = (
    ("Time: the ladder", (on.RungFellDue, on.PlacementFellDue)),
    ("Time: patience", (on.TimeEvent,)),
    ("Facts", (on.FactEvent,)),
    ("Requests", (on.Request,)),
    ("How our actions turned out", (on.OutcomeEvent,)),
)


def table() -> str:
    """Every line of the lifecycle's table in Markdown, and what is ignored or refused, with the reason."""
    parts = ["In each table the first line that fits decides."]
    for family, _ in _FAMILIES:
        rows = (_row(rule) for rule in TABLE if _family(rule.event) == family)
        parts += [f"### {family}", _markdown(_COLUMNS, rows)]
    ignored = ((_stages(stages), _events(events), why) for stages, events, why in IGNORED)
    refused = ((_stages(stages), _events(events), why) for stages, events, why in REFUSED)
    parts += ["### What changes nothing", _markdown(("when the invoice is", "and", "because"), ignored)]
    parts += ["### What is refused", _markdown(("when the invoice is", "it cannot", "because"), refused)]
    return "\n\n".join(parts) + "\n"


def moves() -> dict[tuple[Stage, Stage], tuple[type[on.Event], ...]]:
    """The events that move an invoice from one stage to another."""
    found: dict[tuple[Stage, Stage], dict[type[on.Event], None]] = {}
    for rule in TABLE:
        for was in _in_order(rule.when):
            for becomes in _targets(rule):
                if becomes is not was:
                    found.setdefault((was, becomes), {})[rule.event] = None
    return {move: tuple(events) for move, events in found.items()}


def diagram() -> str:
    """The stages and what moves an invoice between them, as a Mermaid state diagram.

    A move that all stages with us have in common, out of them or back into one of them, is drawn once.
    """
    inside: list[str] = []
    outside: list[str] = []
    drawn: dict[tuple[str, str, str], None] = {}
    for (was, becomes), events in moves().items():
        label = " / ".join(name_words(event_name(event)) for event in events)
        within = was in OWN_CHASING and becomes in OWN_CHASING
        ends = (was, becomes) if within else (_outside(was), _outside(becomes))
        drawn[*ends, label] = None
    for was_name, becomes_name, label in drawn:
        line = f"{was_name} --> {becomes_name}: {label}"
        within = {was_name, becomes_name} <= {stage.value for stage in OWN_CHASING}
        (inside if within else outside).append(line)
    return "\n".join((
        "stateDiagram-v2",
        *(f'    state "{name_words(stage)}" as {stage}' for stage in Stage if "_" in stage),
        "    [*] --> with_us",
        '    state "with us" as with_us {',
        f"        [*] --> {Stage.ISSUED}",
        *(f"        {line}" for line in inside),
        "    }",
        *(f"    {line}" for line in outside),
        *(f"    {stage} --> [*]" for stage in Stage if stage.is_closed),
    )) + "\n"  # fmt: skip


def _family(event: type[on.Event]) -> str:
    return next(family for family, kinds in _FAMILIES if issubclass(event, kinds))


def _row(rule: Rule) -> tuple[str, ...]:
    given = doc_words(rule.given) if rule.given else "otherwise" if _is_left_over(rule) else ""
    becomes = _NOTHING
    if rule.becomes is not None:
        becomes = _BACK_WORDS[rule.becomes.field] if isinstance(rule.becomes, Back) else stage_words(rule.becomes)
    return GROUPS[rule.when], event_words(rule.event), given, becomes, "; ".join(map(doc_words, rule.we)) or _NOTHING


def event_words(event: type[on.Event]) -> str:
    """What happens, after "when the invoice is …, and": `nobody gave the approval that was asked for`."""
    if issubclass(event, on.Request):
        return f"it is to {request_words(event)}"
    said = doc_words(event).split(". ")[0].rstrip(".")
    return said[0].lower() + said[1:]


def _is_left_over(rule: Rule) -> bool:
    """Whether an earlier line takes some of what this one would fit."""
    earlier = TABLE[: TABLE.index(rule)]
    return any(other.event is rule.event and other.when & rule.when for other in earlier)


def _stages(stages: Stages) -> str:
    return GROUPS.get(stages) or " or ".join(map(stage_words, _in_order(stages)))


def _events(events: Iterable[type[on.Event]]) -> str:
    names = (request_words(e) if issubclass(e, on.Request) else name_words(event_name(e)) for e in events)
    return ", ".join(names)


def _targets(rule: Rule) -> Iterator[Stage]:
    """The stages that a rule may lead to; one that leads back leads to those that an invoice may have come from."""
    if not isinstance(rule.becomes, Back):
        if rule.becomes is not None:
            yield rule.becomes
        return
    if rule.becomes.field == "before_research":
        into_research = [other.when for other in TABLE if other.becomes is Stage.RESEARCH_CONTACT]
        yield from _in_order(frozenset().union(*into_research))
    else:
        yield from _in_order(OWN_CHASING)


def _in_order(stages: Stages) -> list[Stage]:
    return [stage for stage in Stage if stage in stages]


def _outside(stage: Stage) -> str:
    return "with_us" if stage in OWN_CHASING else stage.value


def _markdown(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
