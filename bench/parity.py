"""Compare published networks with ours: weights of encoder, head and both, and golden features.

python -m bench.parity

Every count stands beside the published one, where there is one; a difference is marked, and the
exit code is 1.
"""

import sys
from typing import Any

from bench.support import published_networks as table
from spkmodel.config import LogMel
from spkmodel.nn import features


def main() -> None:
    wrong = [*check_counts(table.ROWS), *check_features()]
    for line in wrong:
        print(f"MISMATCH  {line}")
    if wrong:
        sys.exit(1)


def check_counts(rows: tuple[table.Row, ...]) -> list[str]:
    """Print the weights of every network, and return what differs."""
    columns = ("encoder", "published", "head", "total", "published")
    print(f"{'network':48s}" + "".join(f"{column:>12s}" for column in columns))
    wrong = []
    for row in rows:
        encoder, head = row.count_encoder(), row.count_head()
        numbers = (encoder, row.encoder_weights, head, encoder + head, row.total)
        cells = "".join(f"{'' if number is None else f'{number:,}':>12s}" for number in numbers)
        differs = row.mismatches()
        print(f"{row.name:48s}{cells}" + ("  MISMATCH" if differs else ""))
        wrong += differs
    return wrong


def check_features() -> list[str]:
    """Print the golden features, and return what differs."""
    wave = table.tones(table.GOLDEN_SAMPLES)
    wrong = []
    print(f"\n{'front end':48s}{'ours':>16s}{'published':>16s}")
    for mels, known in table.MEL_SUMS.items():
        front: Any = features.build(LogMel(mels=mels))
        found = front.power(wave).double().sum().item()
        print(f"{f'sum of the power of {mels} mels':48s}{found:16,.2f}{known:16,.2f}")
        if abs(found - known) > table.MEL_SUM_TOLERANCE * known:
            wrong.append(f"{mels} mels sum to {found:,.2f}, not {known:,.2f}")
    emphasised = features.pre_emphasise(wave, table.PRE_EMPHASIS)[0].tolist()
    for place, known in enumerate(table.EMPHASISED):
        found = emphasised[place]
        print(f"{f'sample {place} after pre-emphasis':48s}{found:16.6f}{known:16.6f}")
        if abs(found - known) > table.EMPHASISED_TOLERANCE:
            wrong.append(f"sample {place} after pre-emphasis is {found:.6f}, not {known:.6f}")
    return wrong


if __name__ == "__main__":
    main()
