# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that may be written as a percentage, as maxSurge and maxUnavailable are.

Source: staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go
`GetScaledValueFromIntOrPercent`.
"""

from __future__ import annotations

from emu.kube.api.numbers import whole


def share(value: int | str, total: int, *, up: bool) -> int:
    """Return `value`, or so many percent of `total` rounded `up` or down.

    What is neither a number nor a percentage counts as 0: validation has told of it.
    """
    if isinstance(value, int):
        return value
    percent = whole(value.removesuffix("%")) if value.endswith("%") else None
    hundredths = (percent or 0) * total
    return -(-hundredths // 100) if up else hundredths // 100
