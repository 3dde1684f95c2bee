# SPDX-License-Identifier: GPL-2.0-only
"""The API: objects, their manifests, and the store that every component watches."""
