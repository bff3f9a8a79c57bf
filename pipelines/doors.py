"""What every command-line door shares: exit codes, and one sentence for bad input.

0    done
1    the build itself failed: one sentence where the cause is known (a full disk, broken items)
2    bad input: one sentence on stderr that names the value and the remedy
130  SIGINT, 143 SIGTERM: stopped; the same command goes on from there
"""

import argparse
import errno
import signal
import sys
import types
from collections.abc import Callable


class BadInput(Exception):
    """The user's input is wrong; the text is one sentence with the value and the remedy."""


class BuildFailed(Exception):
    """The work could not be ended; the text says what is in the way."""


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


def make_door_parser(
    name: str, description: str | None, epilog: str | None = None
) -> argparse.ArgumentParser:
    """The parser of `python -m pipelines.<name>`, without a flag yet."""
    return argparse.ArgumentParser(
        prog=f"python -m pipelines.{name}",
        description=description,
        epilog=epilog,
        formatter_class=HelpWithDefaults,
        allow_abbrev=False,
    )


NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a full share of one, a file beyond what `ulimit -f` allows."""
GOES_ON = "the same command goes on from here"


def run_door(act: Callable[[], None]) -> int:
    """Run a door's act and turn how it ends into an exit code."""
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        act()
    except BadInput as err:
        print(f"pairmill: {err}", file=sys.stderr)
        return 2
    except BuildFailed as err:
        print(f"pairmill: {err}", file=sys.stderr)
        return 1
    except OSError as err:
        if err.errno not in NO_SPACE:
            raise
        print(f"pairmill: {err}: make room, and {GOES_ON}", file=sys.stderr)
        return 1
    except Stopped as stop:
        print(f"pairmill: stopped by {stop}; {GOES_ON}", file=sys.stderr)
        return stop.exit_code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _stop(number: int, _frame: types.FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)  # a second one, of either, ends the process at once
    raise Stopped(number)
