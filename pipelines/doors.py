"""What every command-line door shares: exit codes, and one sentence for bad input.

0    done
1    the build itself failed
2    bad input: one sentence on stderr that names the value and the remedy
130  SIGINT, 143 SIGTERM: stopped; the same command goes on from there
"""

import argparse
import signal
import sys
import types
from collections.abc import Callable


class BadInput(Exception):
    """The user's input is wrong; the text is one sentence with the value and the remedy."""


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived. An event loop hands on no other exception out of a handler."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class HelpWithDefaults(
    argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter
):
    """Shows each default that there is, and a door's docstring as it is written."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def run_door(act: Callable[[], None]) -> int:
    """Run a door's act and turn how it ends into an exit code."""
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        act()
    except BadInput as err:
        print(f"pairmill: {err}", file=sys.stderr)
        return 2
    except Stopped as stop:
        print(f"pairmill: stopped by {stop}; the same command goes on from here", file=sys.stderr)
        return stop.exit_code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _stop(number: int, _frame: types.FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise Stopped(number)
