# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of Jobs and CronJobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.timestamps import parse
from emu.kube.tables.ages import human
from emu.kube.tables.cells.words import NONE, selector
from emu.kube.tables.describe.page import UNSET, date
from emu.kube.tables.describe.pods import template

if TYPE_CHECKING:
    from emu.kube.api.objects import CronJob, Job
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World

_INDEXES_SHOWN: Final = 50  # signs, and then to the next comma


def job(page: Page, one: Job, world: World) -> None:
    """Write the description of a Job, without its events."""
    spec = one.spec
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.field("Selector", selector(spec.selector))
    page.metadata(one.metadata)
    page.controller(one.metadata)
    if spec.parallelism is not None:
        page.field("Parallelism", spec.parallelism)
    page.field("Completions", UNSET if spec.completions is None else spec.completions)
    page.field("Completion Mode", spec.completion_mode)
    page.field("Suspend", str(spec.suspend).lower())
    for title, value in (
        ("Backoff Limit", spec.backoff_limit),
        ("TTL Seconds After Finished", spec.ttl_seconds_after_finished),
    ):
        if value is not None:
            page.field(title, value)
    _times(page, one)
    if spec.active_deadline_seconds is not None:
        page.field("Active Deadline Seconds", f"{spec.active_deadline_seconds}s")
    _pods(page, one)
    template(page, spec.template, world)


def _times(page: Page, one: Job) -> None:
    begin, end = one.status.start_time, one.status.completion_time
    if begin:
        page.field("Start Time", date(begin))
    if end:
        page.field("Completed At", date(end))
    instants = (parse(begin or "", 0), parse(end or "", 0))
    if instants[0] is not None and instants[1] is not None:
        page.field("Duration", human(instants[1] - instants[0]))


def _pods(page: Page, one: Job) -> None:
    status = one.status
    ready = "" if status.ready is None else f" ({status.ready} Ready)"
    page.field(
        "Pods Statuses",
        f"{status.active or 0} Active{ready} / {status.succeeded or 0} Succeeded / "
        f"{status.failed or 0} Failed",
    )
    if one.spec.completion_mode == "Indexed":
        page.field("Completed Indexes", _indexes(str(status.rest.get("completedIndexes") or "")))


def _indexes(text: str) -> str:
    """Return a list of indexes, cut where it is long."""
    comma = text.find(",", _INDEXES_SHOWN)
    return (text if comma < 0 else text[: comma + 1] + "...") or NONE


def cron_job(page: Page, one: CronJob, world: World) -> None:
    """Write the description of a CronJob, without its events."""
    spec, status = one.spec, one.status
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.metadata(one.metadata)
    page.field("Schedule", spec.schedule)
    page.field("Concurrency Policy", spec.concurrency_policy)
    page.field("Suspend", spec.suspend)
    page.field("Time Zone", spec.time_zone or UNSET)
    page.field("Successful Job History Limit", spec.successful_jobs_history_limit)
    page.field("Failed Job History Limit", spec.failed_jobs_history_limit)
    deadline = spec.starting_deadline_seconds
    page.field("Starting Deadline Seconds", UNSET if deadline is None else f"{deadline}s")
    inside = spec.job_template.spec
    page.field("Selector", UNSET if inside.selector is None else selector(inside.selector))
    page.field("Parallelism", UNSET if inside.parallelism is None else inside.parallelism)
    page.field("Completions", UNSET if inside.completions is None else inside.completions)
    if inside.active_deadline_seconds is not None:
        page.field("Active Deadline Seconds", f"{inside.active_deadline_seconds}s")
    template(page, inside.template, world)
    page.field("Last Schedule Time", date(status.last_schedule_time) if status.last_schedule_time else UNSET)
    page.field("Active Jobs", ", ".join(each.name for each in status.active) or NONE)
