# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers, and the cloud controller that gives their addresses to Services."""
