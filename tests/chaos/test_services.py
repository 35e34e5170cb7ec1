"""What the rounds break, whole: a PostgreSQL of our own, a file system that can be full."""

import errno
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.chaos import services


@pytest.mark.skipif(bool(services.why_no_postgres()), reason=services.why_no_postgres())
def test_a_postgres_that_was_ended_at_once_comes_back_with_what_it_had():
    import psycopg2

    # Not in tmp_path: PostgreSQL refuses root, and pytest's folders are for their owner alone.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    postgres = services.Postgres(folder / "here")
    try:
        where = postgres.uri.replace("+psycopg2", "")
        first = psycopg2.connect(where)
        first.cursor().execute("create table points (step int); insert into points values (7)")
        first.commit()
        postgres.stop()
        assert postgres.pid == 0
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(where)
        postgres.start()
        again = psycopg2.connect(where)
        cursor = again.cursor()
        cursor.execute("select step from points")
        assert cursor.fetchall() == [(7,)]
        again.close()
        first.close()
    finally:
        postgres.stop()
        shutil.rmtree(folder)


@pytest.mark.skipif(bool(services.why_no_small_disk()), reason=services.why_no_small_disk())
def test_a_small_disk_can_be_full_and_is_gone_afterwards(tmp_path):
    place = tmp_path / "disk"
    with services.small_disk(place, 1):
        with pytest.raises(OSError, match="No space") as full:
            (place / "large").write_bytes(b"\0" * (2 << 20))
        assert full.value.errno == errno.ENOSPC
    assert list(place.iterdir()) == []


def test_a_clock_that_is_moved_moves_the_ledgers_time_and_no_monotonic_one(tmp_path):
    program = (
        "import time\n"
        "from datetime import UTC, datetime\n"
        "true, mono = time.time(), time.monotonic()\n"
        "from bench.chaos.toy import movable_clock as clock\n"
        "clock.install()\n"
        "from pathlib import Path\n"
        "from search.ledger.events import ExhaustedEvent\n"
        "from search.ledger.ledger import Ledger\n"
        "from search.core.lease import time as lock_time\n"
        f"Path({str(tmp_path / 'clock')!r}).write_text('3600')\n"
        f"with Ledger.open(Path({str(tmp_path / 's' / 'ledger.jsonl')!r}), write=True) as ledger:\n"
        "    moment = datetime.fromisoformat(ledger.append(ExhaustedEvent(trials=1)).time)\n"
        "assert abs(moment.timestamp() - true - 3600) < 60, moment\n"
        "assert abs(lock_time.time() - true - 3600) < 60\n"
        "assert time.monotonic() - mono < 60\n"
    )
    environment = {"SPKSEARCH_TOY_CLOCK": str(tmp_path / "clock")}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
