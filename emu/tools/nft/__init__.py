# SPDX-License-Identifier: GPL-2.0-only
"""The text of `nft` 1.0.6: read by `commands.parse`, written by `listing.render`.

What nft adds to a rule by itself (that a packet is TCP where its port is asked)
stands in the values, and is left out again where they are written down.
"""
