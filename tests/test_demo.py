"""The demo: what `make demo` promises, on the sample bank and on real purchases."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CDNOW = ROOT.parent / "shared" / "data" / "cdnow"
STEPS = 27


def demo(tmp_path: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "demo", *arguments],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where PostgreSQL's own user may go, when the tests run as root."""
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    return tmp_path


def assert_whole(shown: str) -> None:
    assert f"{STEPS}. rebuild all projections and compare" in shown
    assert "equal" in shown
    assert "all is as it was recorded" in shown
    assert shown.count("research by researcher, then technology by technologist") == 3
    assert "0 differ" in shown
    assert "qualified," in shown
    assert "points of the stock given" in shown


@pytest.mark.drill
@pytest.mark.timeout(400)
def test_one_campaign_on_the_sample_bank_from_parameters_to_settled_points(folder: Path) -> None:
    """ACT-06, ACT-08, WO-01, LOG-01, LOG-12, PTS-05, PTS-06, PTS-07, PTS-09, PTS-10, BUD-02"""
    shown = demo(folder)
    assert_whole(shown)
    assert "50,000 customers, 2,000,000 transactions" in shown
    assert "3 rejected" in shown


@pytest.mark.drill
@pytest.mark.timeout(400)
@pytest.mark.skipif(not CDNOW.is_dir(), reason="the real purchases are not beside the project")
def test_the_same_on_real_purchases_equals_an_independent_count(folder: Path) -> None:
    """SEG-05, LOG-07, PTS-10: who bought for at least 100 USD in the first quarter of 1997."""
    shown = demo(folder, str(CDNOW))
    assert_whole(shown)
    assert "2,047 customers, 383,779 points: equal" in shown


@pytest.mark.drill
@pytest.mark.timeout(200)
def test_a_folder_that_is_no_good_is_told_and_nothing_starts(folder: Path) -> None:
    (folder / "nothing").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "demo", "nothing"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The folder has no transactions.csv." in done.stdout
    assert "docs/own-data.md" in done.stdout
