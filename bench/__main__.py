"""Print the quick figures, one after the other: `python -m bench`; the long ones are listed below.

python -m bench.speech    most of an hour on two cores: the searches that the README reports
python -m bench.matrix    many minutes, resumable: every encoder with every loss trains and goes on
python -m bench.replay    hours, resumable: what the log claims, entry against entry, with seeds
python -m bench.chaos     half an hour and more, resumable: faults against a real local search
python -m bench.scale     minutes: 10,000 simulated trials on 1,000 simulated slots
python -m bench.overhead  minutes: what a trial costs our driver, and the shipped glue
python -m bench.luck      two minutes: how often the gate of promote takes luck for progress
python -m bench.simulate  20 minutes: searches on known curves, ours beside other tools
python -m bench.curve_table  hours, resumable: the real learning curves that it uses
python -m bench.modelled  many minutes: how many trials the sampler has to model
"""

import runpy

QUICK = (
    "bench.hearing",
    "bench.parity",
    "bench.priors",
    "bench.sampler",
    "bench.scoring",
    "bench.training",
)


def main() -> None:
    for name in QUICK:
        print(f"== {name}")
        runpy.run_module(name, run_name="__main__")
    print(__doc__)


if __name__ == "__main__":
    main()
