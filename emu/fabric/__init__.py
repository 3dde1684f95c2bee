# SPDX-License-Identifier: GPL-2.0-only
"""Machines and cables, and the one place where a namespace's effects become events."""
