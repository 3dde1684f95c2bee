# SPDX-License-Identifier: GPL-2.0-only
"""Which questions must have the same answer, proved from the state of the kernels."""
