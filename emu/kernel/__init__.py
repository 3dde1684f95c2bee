# SPDX-License-Identifier: GPL-2.0-only
"""One network stack, as Linux 6.18 builds it: frames in, effects out, time an argument.

Nothing here knows Kubernetes, a clock, a file or another namespace.
"""
