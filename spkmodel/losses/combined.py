"""Sum several losses on the same embeddings."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput


class CombinedLoss(nn.Module):
    """Weighted sum of losses.

    Besides the figures of its terms it reports each term's loss, without the weight, as
    `<kind>_loss`. The second term of a kind is `<kind>_2`. A figure that an earlier term has
    already is `<kind>_<figure>`: softmax and angular prototypical report `accuracy` and
    `angular_prototypical_accuracy`.
    """

    def __init__(
        self, kinds: Sequence[str], losses: Sequence[nn.Module], weights: Sequence[float]
    ) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)
        self.names = _names(kinds)
        self.weights = tuple(weights)

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        outputs: list[LossOutput] = [loss(embeddings, speakers) for loss in self.losses]
        parts: dict[str, Tensor] = {}
        for name, output in zip(self.names, outputs, strict=True):
            # The first term keeps the plain name: figures of single losses stay comparable.
            for figure, amount in output.parts.items():
                parts[f"{name}_{figure}" if figure in parts else figure] = amount
            parts[f"{name}_loss"] = output.loss.detach()
        weighted = [w * output.loss for w, output in zip(self.weights, outputs, strict=True)]
        return LossOutput(torch.stack(weighted).sum(), parts)


def _names(kinds: Sequence[str]) -> tuple[str, ...]:
    """Name the terms by kind; the second and later ones of a kind get a number."""
    earlier = [list(kinds[:place]).count(kind) for place, kind in enumerate(kinds)]
    return tuple(
        f"{kind}_{count + 1}" if count else kind for kind, count in zip(kinds, earlier, strict=True)
    )
