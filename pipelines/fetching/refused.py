"""How a row's failure travels up to its outcome.

Exception
├── Refused                 the row ends here, with one reason out of ledger.FETCH_OUTCOMES
│   └── BlockedAddress      raised at the dial; also an OSError, so that the next address is tried
└── ValueError
    └── ContactRequired     not a row's failure: the build stops before it connects
"""


class Refused(Exception):
    """The row ends with `reason`; `signal` says what decided, where the reason alone does not."""

    def __init__(self, reason: str, signal: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.signal = signal


class BlockedAddress(Refused, OSError):
    """The guard refused the address that was about to be dialled.

    Its text never names the address: where every address of a name fails with the same text,
    aiohttp's dialler raises the first error itself and not a copy that has lost its type.
    """


class ContactRequired(ValueError):
    """A host outside the allowed networks was about to be dialled without a contact."""

    def __init__(self) -> None:
        super().__init__(
            "--contact is missing: strangers' servers are only asked by a crawler that says whom "
            "to write to; give --contact with an e-mail address or a URL"
        )
