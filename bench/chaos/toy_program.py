"""`spksearch` with a toy to train: `python -m bench.chaos.toy_program launch ...`."""

from search.cluster.connection import prepare_environment

prepare_environment()  # before anything imports Ray, which the toy does

from bench.chaos import movable_clock, toy_training  # noqa: E402
from search.__main__ import main  # noqa: E402

if __name__ == "__main__":
    toy_training.install()
    movable_clock.install()
    main()
