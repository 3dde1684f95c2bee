# SPDX-License-Identifier: GPL-2.0-only
"""Programs that run in namespaces, and the modelled commands (`commands`)."""
