"""The business moment of an attempt: the workflow's own now, plus how long the attempts before this one took."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import activity


def business_now(ordered_at: datetime) -> datetime:
    """When this attempt happens, by the workflow's clock, which may have been skipped ahead of the wall's.

    Without this a notice that is retried for hours would be judged by the window of its first attempt.
    """
    info = activity.info()
    waited = info.current_attempt_scheduled_time - info.scheduled_time
    return ordered_at + max(waited, timedelta(0))
