# SPDX-License-Identifier: GPL-2.0-only
"""The text of `ip`: its arguments, and what it prints, as iproute2 6.1 takes and prints them.

One module for each object: `parse` makes a request of the words behind the
object's name, `render` makes the text of the answer.
"""
