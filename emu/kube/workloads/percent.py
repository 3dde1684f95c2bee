# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that may be written as a percentage, as maxSurge and maxUnavailable are.

Source: staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go
`GetScaledValueFromIntOrPercent`.
"""

from __future__ import annotations


def share(value: int | str, total: int, *, up: bool) -> int:
    """Return `value`, or so many percent of `total` rounded `up` or down.

    What is neither a number nor a percentage counts as 0: validation has told of it.
    """
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    if digits == value or not digits.isdecimal():
        return 0
    whole = int(digits) * total
    return -(-whole // 100) if up else whole // 100
