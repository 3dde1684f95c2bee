# SPDX-License-Identifier: GPL-2.0-only
"""The text of the tools people know: read into models and printed from them, nothing else."""
