# SPDX-License-Identifier: GPL-2.0-only
"""CronJobs: Jobs at times."""
