# SPDX-License-Identifier: GPL-2.0-only
"""curl, with the texts of curl 8.14: its `options`, a `transfer`, and what it tells of one (`report`)."""
