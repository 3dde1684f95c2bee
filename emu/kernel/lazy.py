# SPDX-License-Identifier: GPL-2.0-only
"""Attributes that are made when they are first asked for.

Like `functools.cached_property`, but by `setattr`: it leaves the attributes of
an object where Python keeps them without a dictionary, which is a fifth of the
memory that a namespace takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - used as a decorator, like `property`
    """Decorates the method that makes an attribute; it is called once for each object."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        made = self._make(instance)
        setattr(instance, self._name, made)  # hides this descriptor from now on
        return made
