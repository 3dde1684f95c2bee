# SPDX-License-Identifier: GPL-2.0-only
"""The output formats over plain JSON values: json, yaml, name, jsonpath, custom columns."""
