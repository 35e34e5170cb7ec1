"""The processes that `bench.load.packing` measures: a packing, and decoding by soundfile alone.

python -m bench.load.packing_programs pack CORPUS HOME [WORKERS]
python -m bench.load.packing_programs decode FOLDER PART PARTS

`pack` prints a line of JSON for each progress, with the time. `decode` waits for a line on its
standard input, so that the start of the process is not measured.
"""

import json
import os
import sys
import time
from pathlib import Path


def _pack(corpus: Path, home: Path, workers: int | None) -> None:
    from spkmodel.data.corpus import open_corpus
    from spkmodel.data.store_writing import pack_corpus

    peak_of_worker = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal peak_of_worker
        peak_of_worker = max([peak_of_worker, *map(_peak_megabytes, _children())])
        print(json.dumps({"time": time.time(), "done": done, "total": total}), flush=True)

    opened = open_corpus(corpus)
    began, before = time.perf_counter(), _processor_seconds()
    pack_corpus(opened, home, progress=tell, workers=workers)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "processor_seconds": _processor_seconds() - before,
                "megabytes": _peak_megabytes("self"),
                "worker_megabytes": peak_of_worker,
            }
        )
    )


def _processor_seconds() -> float:
    """Return what this process has used, and its helpers that have ended."""
    return sum(os.times()[:4])


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def _peak_megabytes(pid: str) -> float:
    """Return the most resident memory of a process; 0 for one that has ended."""
    # Not ru_maxrss: that also counts what the process was before it became this program.
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) / 1024 if found else 0.0


def _decode(folder: Path, part: int, parts: int) -> None:
    import soundfile

    files = sorted(path for path in folder.rglob("*") if path.is_file())[part::parts]
    print("ready", flush=True)
    sys.stdin.readline()
    before = _processor_seconds()
    for path in files:
        with soundfile.SoundFile(path) as file:
            file.read(dtype="int16")
    print(_processor_seconds() - before, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "pack":
        given = int(sys.argv[4]) if len(sys.argv) > 4 else None
        _pack(Path(sys.argv[2]), Path(sys.argv[3]), given)
    else:
        _decode(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
