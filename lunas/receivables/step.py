"""A decision in the making: what the lifecycle's verbs take, and what they hand on."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple

from lunas.receivables.actions import Action, TellOwner
from lunas.receivables.events import Event
from lunas.receivables.invoice import InvoiceState
from lunas.receivables.words import owner_words


class Step(NamedTuple):
    """The state so far, what happened and when, what is ordered and what is worth noting."""

    state: InvoiceState
    event: Event
    at: datetime
    actions: tuple[Action, ...] = ()
    detail: tuple[str, ...] = ()

    @property
    def today(self) -> date:
        """The customer's date."""
        return self.state.policy.calendar.local_date(self.at)

    def change(self, **fields: Any) -> Step:
        """The same with these fields of the state changed."""
        return Step(self.state.but(**fields), self.event, self.at, self.actions, self.detail)

    def order(self, *actions: Action) -> Step:
        """The same with these actions ordered after the others."""
        return Step(self.state, self.event, self.at, (*self.actions, *actions), self.detail)

    def note(self, detail: str) -> Step:
        """The same with this in the journal."""
        return Step(self.state, self.event, self.at, self.actions, (*self.detail, detail))

    def tell_the_owner(self) -> Step:
        """The same with the owner told what was noted, else what happened."""
        about = "; ".join(self.detail) or owner_words(self.event)
        number = self.state.number
        return self.order(TellOwner(f"{number}/{self.state.sequence}", f"{number}: {about}"))
