"""What may stand in a guard's place in a test process: each makes one guard do nothing."""

import functools
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from yarl import URL

from pipelines.fetching.refused import Refused

Without = Callable[[Any], Any]
"""From the guard's function or class to what stands in its place."""


def idle(_original: Any) -> Any:
    """Does nothing and says None."""
    return lambda *_, **__: None


def says(answer: Any) -> Without:
    """Gives the same answer always."""
    return lambda _original: lambda *_, **__: answer


def forgives(reason: str) -> Without:
    """Passes over one reason of several."""

    def without(original: Any) -> Any:
        @functools.wraps(original)
        def forgiving(*arguments: Any, **named: Any) -> Any:
            try:
                return original(*arguments, **named)
            except Refused as refused:
                if refused.reason != reason:
                    raise
            return None

        return forgiving

    return without


def told(**changed: Any) -> Without:
    """Is called with other keyword arguments than those it is given."""
    return lambda original: lambda *arguments, **named: original(*arguments, **(named | changed))


def with_limit(place: int, limit: float) -> Without:
    """Is called with a wider limit in one place of its arguments."""

    def without(original: Any) -> Any:
        def wide(*arguments: Any, **named: Any) -> Any:
            return original(*arguments[:place], limit, *arguments[place + 1 :], **named)

        return wide

    return without


def unchecked_redirect(_original: Any) -> Any:
    return lambda url, location, _settings: url.join(URL(location))


def unguarded_dial(_original: Any) -> Any:
    return lambda _self, info: socket.socket(*info[:3])


def invented_contact(original: Any) -> Any:
    def dial(self: Any, info: Any) -> socket.socket:
        self._settings = replace(self._settings, contact="nobody@nowhere.example")
        return original(self, info)

    return dial


def any_port(original: Any) -> Any:
    def refusal(self: Any, address: str, _port: int) -> Any:
        return original(self, address, self.allow_ports[0])

    return refusal


def any_scheme(original: Any) -> Any:
    def normal(text: str) -> Any:
        scheme, colon, rest = text.strip().partition(":")
        return original(f"http:{rest}" if colon and scheme not in ("http", "https") else text)

    return normal


def dropped_user(original: Any) -> Any:
    def normal(text: str) -> Any:
        head, slashes, rest = text.partition("//")
        authority, slash, path = rest.partition("/")
        return original(f"{head}{slashes}{authority.rpartition('@')[2]}{slash}{path}")

    return normal


def unlimited_cells(original: Any) -> Any:
    original(2**31 - 1)
    return original


def with_setting(**changed: Any) -> Without:
    """A client that is opened with other settings than those it is given."""

    def without(original: Any) -> Any:
        def init(self: Any, settings: Any, *rest: Any, **named: Any) -> None:
            original(self, replace(settings, **changed), *rest, **named)

        return init

    return without


def crowded(original: Any) -> Any:
    return lambda *arguments: replace(original(*arguments), concurrency=1_000)
