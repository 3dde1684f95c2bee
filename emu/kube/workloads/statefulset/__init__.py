# SPDX-License-Identifier: GPL-2.0-only
"""StatefulSets: pods with names that last, made and replaced in order."""
