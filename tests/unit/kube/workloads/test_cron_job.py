# SPDX-License-Identifier: GPL-2.0-only
"""CronJobs: Jobs at times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.api.objects import CronJob, Job
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.workload import CronJobSpec, JobSpec, JobTemplate
from emu.kube.workloads.cronjob.schedule import ScheduleError, parse
from emu.sim.time import EPOCH, SECOND
from emu.testing.control_plane import NAMESPACE, ControlPlane, template


def seconds(text: str) -> int:
    """Return a time of UTC as seconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class TestSchedule:
    """Five fields, and words."""

    @pytest.mark.parametrize(
        ("text", "after", "following"),
        [
            ("* * * * *", "2025-01-01 00:00:00", "2025-01-01 00:01:00"),
            ("* * * * *", "2025-01-01 00:00:59", "2025-01-01 00:01:00"),
            ("*/15 * * * *", "2025-01-01 00:15:00", "2025-01-01 00:30:00"),
            ("5/20 * * * *", "2025-01-01 00:26:00", "2025-01-01 00:45:00"),
            ("0 8-10,12 * * *", "2025-01-01 10:30:00", "2025-01-01 12:00:00"),
            ("0 0 * * mon-FRI", "2025-01-03 12:00:00", "2025-01-06 00:00:00"),
            ("0 0 1 feb *", "2025-03-01 00:00:00", "2026-02-01 00:00:00"),
            ("0 0 29 2 *", "2025-01-01 00:00:00", "2028-02-29 00:00:00"),
            ("0 0 13 * fri", "2025-01-01 00:00:00", "2025-01-03 00:00:00"),
            ("0 0 13 * ?", "2025-01-01 00:00:00", "2025-01-13 00:00:00"),
            ("@hourly", "2025-01-01 00:00:00", "2025-01-01 01:00:00"),
            ("@midnight", "2025-01-01 00:00:00", "2025-01-02 00:00:00"),
            ("@weekly", "2025-01-01 00:00:00", "2025-01-05 00:00:00"),
            ("@monthly", "2025-01-31 00:00:00", "2025-02-01 00:00:00"),
            ("@yearly", "2025-01-01 00:00:00", "2026-01-01 00:00:00"),
            ("@every 1h30m", "2025-01-01 00:00:10", "2025-01-01 01:30:10"),
        ],
    )
    def test_the_next_time_follows(self, text: str, after: str, following: str) -> None:
        """Never the same instant again."""
        assert parse(text).after(seconds(after)) == seconds(following)

    def test_a_day_that_never_comes_is_none(self) -> None:
        """Nobody waits for the 30th of February."""
        assert parse("0 0 30 2 *").after(seconds("2025-01-01 00:00:00")) is None

    @pytest.mark.parametrize(
        ("after", "following"),
        [
            ("2025-01-01 00:00:00", "2025-01-01 01:30:00"),
            ("2025-07-01 00:00:00", "2025-07-01 00:30:00"),
            ("2025-03-30 00:00:00", "2025-03-31 00:30:00"),  # the clock leaps from 2 to 3
            ("2025-10-26 00:30:00", "2025-10-26 01:30:00"),  # and shows half past two again
        ],
    )
    def test_time_zones_keep_their_clocks(self, after: str, following: str) -> None:
        """Half past two in Berlin."""
        assert parse("30 2 * * *").after(seconds(after), "Europe/Berlin") == seconds(following)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "a * * * *",
            "5-3 * * * *",
            "@often",
            "@every",
            "@every 5x",
            f"@every {'9' * 400}h",
            f"*/{'9' * 5000} * * * *",
            f"{'9' * 5000} * * * *",
            "\N{SUPERSCRIPT TWO} * * * *",
            "* * * * 8",
            "1- * * * *",
        ],
    )
    def test_what_is_no_schedule_is_refused(self, text: str) -> None:
        """With a reason."""
        with pytest.raises(ScheduleError):
            parse(text)

    def test_an_unknown_zone_is_refused(self) -> None:
        """By name."""
        with pytest.raises(ScheduleError, match="Mars/Base"):
            parse("* * * * *").after(0, "Mars/Base")

    @given(
        st.integers(0, 59),
        st.integers(0, 23),
        st.sampled_from(["*", "1", "15", "31"]),
        st.sampled_from(["*", "0", "3"]),
        st.integers(0, 400),
    )
    def test_it_is_what_walking_by_minutes_finds(
        self, minute: int, hour: int, day: str, weekday: str, start: int
    ) -> None:
        """A slow and obvious search agrees."""
        begin = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=start)
        following = parse(f"{minute} {hour} {day} * {weekday}").after(int(begin.timestamp()))
        each = begin.replace(hour=hour, minute=minute)
        while True:
            in_month, in_week = day in {"*", str(each.day)}, weekday in {"*", str(each.isoweekday() % 7)}
            is_day = in_month and in_week if "*" in {day, weekday} else in_month or in_week
            if is_day and each > begin:
                break
            each += timedelta(days=1)
        assert following == int(each.timestamp())


def cron_job(schedule: str = "*/5 * * * *", **spec: object) -> CronJob:
    """Return the CronJob `tick`."""
    jobs = JobTemplate(spec=JobSpec(template=template("tick", spec=PodSpec(restart_policy="Never"))))
    made = CronJobSpec(schedule, jobs, **spec)  # type: ignore[arg-type]  # by the tests' care
    return CronJob(Meta(name="tick", namespace=NAMESPACE), made)


class TestController:
    """Jobs come and go."""

    @pytest.fixture
    def plane(self) -> ControlPlane:
        """One node."""
        plane = ControlPlane()
        plane.add_nodes("a")
        return plane

    def finish(self, plane: ControlPlane, phase: str = "Succeeded") -> None:
        """Have the pods that run end."""
        for pod in plane.pods():
            plane.kubelet.finish(pod, phase)
        plane.settle()

    def names(self, plane: ControlPlane) -> list[str]:
        """Return the names of the Jobs."""
        return [job.metadata.name for job in plane.store.list(Job)]

    def test_a_job_is_called_after_its_minute(self, plane: ControlPlane) -> None:
        """Minutes since 1970, of the time it was to begin."""
        plane.store.put(cron_job())
        plane.settle()
        assert self.names(plane) == []
        plane.settle(301)
        assert self.names(plane) == [f"tick-{EPOCH // SECOND // 60 + 5}"]
        found = plane.store.get(CronJob, "tick", NAMESPACE)
        assert found.status.last_schedule_time == "2025-01-01T00:05:00Z"
        assert [each.name for each in found.status.active] == self.names(plane)
        assert plane.messages("SuccessfulCreate")[0] == f"Created job {self.names(plane)[0]}"
        (job,) = plane.store.list(Job)
        assert dict(job.metadata.annotations) == {
            "batch.kubernetes.io/cronjob-scheduled-timestamp": "2025-01-01T00:05:00Z"
        }

    @pytest.mark.parametrize(("policy", "count"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
    def test_the_policy_says_what_becomes_of_two_at_a_time(
        self, plane: ControlPlane, policy: str, count: int
    ) -> None:
        """Allow both, keep the old one, or take the new one."""
        plane.store.put(cron_job(concurrency_policy=policy))
        plane.settle(301)
        (first,) = self.names(plane)
        plane.settle(300)
        assert len(self.names(plane)) == count
        assert (first in self.names(plane)) == (policy != "Replace")

    def test_only_so_many_finished_jobs_are_kept(self, plane: ControlPlane) -> None:
        """Three that went well."""
        plane.store.put(cron_job())
        plane.settle(1)
        for _ in range(5):
            plane.settle(300)
            self.finish(plane)
        assert len(self.names(plane)) == 3
        found = plane.store.get(CronJob, "tick", NAMESPACE)
        assert found.status.last_successful_time is not None
        assert found.status.active == ()

    def test_suspended_it_does_nothing(self, plane: ControlPlane) -> None:
        """Until it goes on."""
        plane.store.put(cron_job(suspend=True))
        plane.settle(3600)
        assert self.names(plane) == []
        known = plane.store.get(CronJob, "tick", NAMESPACE)
        plane.store.put(attrs.evolve(known, spec=attrs.evolve(known.spec, suspend=False)))
        plane.settle()
        assert len(self.names(plane)) == 1

    def test_long_after_its_last_time_it_begins_once(self, plane: ControlPlane) -> None:
        """And says that it missed many."""
        known = cron_job("* * * * *")
        status = attrs.evolve(known.status, last_schedule_time="2020-01-01T00:00:00Z")
        plane.store.put(attrs.evolve(known, status=status))
        plane.settle()
        assert self.names(plane) == [f"tick-{EPOCH // SECOND // 60}"]
        assert len(plane.messages("TooManyMissedTimes")) == 1

    def test_a_wrong_schedule_is_told(self, plane: ControlPlane) -> None:
        """Nothing else happens."""
        plane.store.put(cron_job("not a schedule"))
        plane.settle()
        assert plane.messages("UnparseableSchedule")[0].startswith("unparseable schedule: not a schedule")
