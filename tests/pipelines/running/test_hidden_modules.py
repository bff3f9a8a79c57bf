"""That a module is hidden for a block, and only then."""

import importlib
import sys
from pathlib import Path

import pytest

from pipelines.running.hidden_modules import hide_modules

RARE = "a_module_of_this_test"


@pytest.fixture
def rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / f"{RARE}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, RARE, raising=False)
    return RARE


def test_an_import_fails_within_the_block_and_succeeds_after_it(rare: str) -> None:
    with hide_modules("other", rare), pytest.raises(ModuleNotFoundError, match=rare):
        importlib.import_module(rare)
    assert importlib.import_module(rare).__name__ == rare


def test_what_is_imported_already_stays(rare: str) -> None:
    importlib.import_module(rare)
    with hide_modules(rare):
        assert importlib.import_module(rare).__name__ == rare


def test_an_error_within_the_block_leaves_nothing_hidden(rare: str) -> None:
    with pytest.raises(KeyError), hide_modules(rare):
        raise KeyError
    assert importlib.import_module(rare).__name__ == rare
