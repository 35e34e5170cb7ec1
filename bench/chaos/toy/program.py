"""Run `spksearch` with a toy to train: `python -m bench.chaos.toy.program launch ...`."""

from search.cluster.connection import prepare_environment

prepare_environment()  # before anything imports Ray, which the toy does

from bench.chaos.toy import movable_clock, training  # noqa: E402
from search.__main__ import main  # noqa: E402

if __name__ == "__main__":
    training.install()
    movable_clock.install()
    main()
