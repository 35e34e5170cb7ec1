"""Check what a loss requires of batches and corpus, and change a loss as a whole."""

from spkmodel.config.losses import (
    Centre,
    Combined,
    Loss,
    SingleLoss,
    Triplet,
    Weighted,
)
from spkmodel.config.margins import (
    AAMSoftmax,
    AMSoftmax,
    ConstantMargin,
    SubCentreAAMSoftmax,
)


def terms_of(loss: Loss) -> tuple[Weighted, ...]:
    """Return the terms of a loss; a single loss is one term of weight 1."""
    return loss.terms if isinstance(loss, Combined) else (Weighted(loss=loss),)


def check_batches(loss: Loss, speakers: int, utterances: int) -> None:
    """Raise an error for batches of `speakers` x `utterances` that the loss cannot learn from.

    Raises:
        ValueError: naming the field and the remedy.
    """
    for term in terms_of(loss):
        kind = term.loss.kind
        if utterances < term.loss.needs_utterances:
            raise ValueError(
                f"batches.utterances must be at least {term.loss.needs_utterances} for "
                f"loss.kind={kind!r} (it compares utterances of one speaker), got {utterances}"
            )
        if isinstance(term.loss, Triplet) and term.loss.hard_rank is not None:
            _check_ranks(term.loss.hard_rank, speakers, utterances)
    if not any(_keeps_apart(term.loss) for term in terms_of(loss)):
        raise ValueError(
            f"loss.kind={loss.kind!r} only draws embeddings together, so all would end in one "
            "point; put it beside a loss that tells speakers apart: Combined(terms=(Weighted("
            "loss=Softmax()), Weighted(loss=..., weight=...)))"
        )


def _check_ranks(hard_rank: int, speakers: int, utterances: int) -> None:
    candidates = (speakers - 1) * (utterances - 1)
    if candidates <= hard_rank:
        raise ValueError(
            f"loss.hard_rank={hard_rank} chooses among {hard_rank + 1} negatives, but a batch of "
            f"{speakers} speakers x {utterances} utterances offers {candidates}: set it to "
            f"{candidates - 1} or less, or batches.speakers to "
            f"{hard_rank // (utterances - 1) + 2} or more"
        )


def _keeps_apart(loss: SingleLoss) -> bool:
    only_together = isinstance(loss, Triplet) and loss.form == "positives_only"
    return not (only_together or isinstance(loss, Centre))


def check_classes(loss: Loss, classes: int) -> None:
    """Raise an error for a number of classes (training speakers) that the loss cannot handle.

    Raises:
        ValueError: naming the field and the remedy.
    """
    for term in terms_of(loss):
        if isinstance(term.loss, SubCentreAAMSoftmax) and term.loss.hard_speakers >= classes:
            raise ValueError(
                f"loss.hard_speakers={term.loss.hard_speakers} must be below the number of "
                f"training speakers, {classes}; set it to {classes - 1} or less"
            )


def with_margin(loss: Loss, margin: float) -> Loss:
    """Return the loss that a large-margin stage trains.

    The margin of every AM, AAM and sub-centre softmax in it becomes `margin`, constant; the
    inter-top-k penalty ends (as in WeSpeaker's large-margin stage). Triplets stay as they are:
    their margin is another quantity.

    Raises:
        ValueError: if the loss has none of the three, or cannot have that margin.
    """
    if not any(
        isinstance(t.loss, AMSoftmax | AAMSoftmax | SubCentreAAMSoftmax) for t in terms_of(loss)
    ):
        raise ValueError(
            f"fine_tune needs a loss with a margin between classes, got loss.kind={loss.kind!r}; "
            "leave fine_tune out, or take am_softmax, aam_softmax or sub_centre_aam_softmax"
        )
    changed = [_with_margin(term.loss, margin) for term in terms_of(loss)]
    if not isinstance(loss, Combined):
        return changed[0]
    return Combined(
        terms=tuple(
            Weighted(loss=new, weight=term.weight)
            for new, term in zip(changed, loss.terms, strict=True)
        )
    )


def _with_margin(loss: SingleLoss, margin: float) -> SingleLoss:
    # Built anew and not copied with changes, which would skip the ranges.
    if isinstance(loss, AMSoftmax) and margin >= 1:
        raise ValueError(
            "fine_tune.margin must be below 1 with loss.kind='am_softmax', whose margin is a "
            f"cosine, got {margin}"
        )
    if isinstance(loss, SubCentreAAMSoftmax) and margin == 0:
        raise ValueError(
            "fine_tune.margin must be above 0 with loss.kind='sub_centre_aam_softmax', got "
            f"{margin}"
        )
    match loss:
        case AMSoftmax():
            return AMSoftmax(margin=margin, scale=loss.scale, margin_schedule=ConstantMargin())
        case AAMSoftmax():
            return AAMSoftmax(
                margin_rad=margin,
                scale=loss.scale,
                fallback=loss.fallback,
                margin_schedule=ConstantMargin(),
            )
        case SubCentreAAMSoftmax():
            return SubCentreAAMSoftmax(
                margin_rad=margin,
                scale=loss.scale,
                fallback=loss.fallback,
                centres=loss.centres,
                hard_speakers=0,
                hard_penalty_rad=0,
                margin_schedule=ConstantMargin(),
            )
        case _:
            return loss
