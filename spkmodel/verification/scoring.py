"""Score pairs of embeddings; a higher score is more alike."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from operator import attrgetter
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from spkmodel.data.lists import Pair

Backend: TypeAlias = Literal["cosine", "crop_distance"]
Sides: TypeAlias = Int[Tensor, "pairs 2"]
# Pairs scored at once: what they take of the embeddings stays in the processor's cache.
_CHUNK = 128
_CROPPED_CHUNK = 32

# Lists of crops as long as this are scored in float32. Where two crops are as near as this (squared
# distance), the root would magnify its rounding, and the pair is scored in float64.
_MANY_CROPPED = 1000
_CROPPED_BLOCK = 512
_NEAR = 0.01
_SHORTEST = 1e-12

# Of a list as long and as dense as this, all cosines of enrolments and tests are computed and the
# listed ones kept: a matrix product is that much faster. Elsewhere a score has nothing to do with
# what else is listed, down to its last bit.
_LONG = 200_000
_DENSE = 1 / 8
_ROWS = 512

# Directions closer together than this (root mean square deviation from their mean, between unit
# vectors) are the rounding of float32 rather than a network that tells anything apart; a network
# that was never trained stays above 0.001.
_COLLAPSED_BELOW = 1e-4


class Collapsed(ValueError):
    """Raised for degenerate embeddings: not finite, of length 0, or all in one direction."""


def score_pairs(
    embeddings: Mapping[str, Tensor], pairs: Sequence[Pair], backend: Backend = "cosine"
) -> Float[np.ndarray, " pairs"]:
    """Return the scores in the order of the pairs, as float64.

    Args:
        embeddings: of every utterance of the pairs: (dim,), or (crops, dim) for one a crop.
        pairs: what to score; their `target` is not looked at.
        backend: cosine: of the utterances' embeddings, each the mean of its crops, taken before
            any is brought to unit length. crop_distance: minus the mean Euclidean distance of all
            pairs of crops, at unit length, in [-2, 0]; it is how voxceleb_trainer scores. Of
            lists of a thousand pairs and more, in float32, within 1e-6 of float64.

    Raises:
        ValueError: an utterance without an embedding, or embeddings of different shapes.
        Collapsed: an embedding that is not finite or has length 0.
    """
    names, sides = index_pairs(embeddings, pairs)
    if not names:
        return np.zeros(0)
    match backend:
        case "cosine":
            return cosines(unit_vectors(names, mean_embeddings(embeddings, names)), sides).numpy()
        case "crop_distance":
            return _crop_distances(names, [_crops_of(n, embeddings[n]) for n in names], sides)
        case other:
            raise ValueError(f"backend must be cosine or crop_distance, got {other!r}")


def require_usable(embeddings: Mapping[str, Tensor]) -> None:
    """Raise an error for embeddings whose scores would be noise, whatever their EER.

    A network that is merely bad passes: only directions equal up to rounding are refused.

    Raises:
        Collapsed: saying which utterance, or how near to each other all directions are.
    """
    names = list(embeddings)
    if len(names) < 2:
        raise ValueError(f"need embeddings of at least 2 utterances, got {len(names)}")
    units = unit_vectors(names, mean_embeddings(embeddings, names))
    spread = float((units - units.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    if spread < _COLLAPSED_BELOW:
        raise Collapsed(
            f"all {len(names)} embeddings point in one direction (root mean square deviation "
            f"{spread:.1e}, at least {_COLLAPSED_BELOW:.0e} is needed to tell speakers apart)"
        )


def index_pairs(embeddings: Mapping[str, Tensor], pairs: Sequence[Pair]) -> tuple[list[str], Sides]:
    """Return the utterances of the pairs, each once, and each pair as two indices into them."""
    flat = list(chain.from_iterable(map(attrgetter("enrolment", "test"), pairs)))
    places = {name: place for place, name in enumerate(dict.fromkeys(flat))}
    missing = [name for name in places if name not in embeddings]
    if missing:
        raise ValueError(
            f"no embedding of utterance {missing[0]!r} ({len(missing)} of the {len(places)} "
            "utterances of the pairs have none)"
        )
    sides = np.fromiter(map(places.__getitem__, flat), dtype=np.int64, count=len(flat))
    return list(places), torch.from_numpy(sides).reshape(-1, 2)


def mean_embeddings(
    embeddings: Mapping[str, Tensor], names: Sequence[str]
) -> Float[Tensor, "utterances dim"]:
    """Return the mean over the crops of each utterance, in float64."""
    found = [embeddings[name] for name in names]
    if len({embedding.shape for embedding in found}) == 1 and found[0].ndim == 1:
        return _stack(names, found)
    return _stack(names, [_crops_of(n, embeddings[n]).double().mean(dim=0) for n in names])


def cosines(units: Float[Tensor, "utterances dim"], sides: Sides) -> Float[Tensor, " pairs"]:
    """Return the cosines of pairs of embeddings that have unit length."""
    if len(sides) >= _LONG:
        enrolments, rows = _distinct(sides[:, 0])
        tests, columns = _distinct(sides[:, 1])
        if len(sides) >= _DENSE * len(enrolments) * len(tests):
            return _from_all_cosines(units[enrolments], units[tests], rows, columns)
    return torch.from_numpy(_cosines_by_pair(units.numpy(), sides.numpy()))


def _cosines_by_pair(
    units: Float[np.ndarray, "utterances dim"], sides: Int[np.ndarray, "pairs 2"]
) -> Float[np.ndarray, " pairs"]:
    # Gathered into the same two blocks again and again: memory that is new each time costs more
    # than the products do.
    scores = np.empty(len(sides), dtype=units.dtype)
    one, other = np.empty((2, _CHUNK, units.shape[1]), dtype=units.dtype)
    for start in range(0, len(sides), _CHUNK):
        places = sides[start : start + _CHUNK]
        count = len(places)
        np.take(units, places[:, 0], axis=0, out=one[:count], mode="clip")
        np.take(units, places[:, 1], axis=0, out=other[:count], mode="clip")
        np.einsum("pd,pd->p", one[:count], other[:count], out=scores[start : start + count])
    return scores


def _distinct(places: Int[Tensor, " pairs"]) -> tuple[Tensor, Tensor]:
    distinct, inverse = np.unique(places.numpy(), return_inverse=True)
    return torch.from_numpy(distinct), torch.from_numpy(inverse)


def _from_all_cosines(
    enrolments: Float[Tensor, "enrolments dim"],
    tests: Float[Tensor, "tests dim"],
    rows: Int[Tensor, " pairs"],
    columns: Int[Tensor, " pairs"],
) -> Float[Tensor, " pairs"]:
    # Block by block of enrolments: the matrix of all cosines may not fit into memory.
    order = rows.argsort()
    ends = torch.searchsorted(rows[order], torch.arange(0, len(enrolments) + _ROWS, _ROWS))
    scores = torch.empty(len(rows), dtype=enrolments.dtype)
    for block, (start, end) in enumerate(pairwise(ends.tolist())):
        mine, first = order[start:end], block * _ROWS
        every = enrolments[first : first + _ROWS] @ tests.T
        scores[mine] = every[rows[mine] - first, columns[mine]]
    return scores


def _crop_distances(
    names: Sequence[str], crops: Sequence[Tensor], sides: Sides
) -> Float[np.ndarray, " pairs"]:
    if len(sides) >= _MANY_CROPPED:
        _require_one_shape(names, crops)
        rows = [each.detach().cpu().float().numpy() for each in crops]
        # Squares that overflow or vanish in float32 are left to float64, which also names them.
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.concatenate([np.vecdot(each, each) for each in rows])
        lengths = np.sqrt(squares).reshape(len(rows), -1)
        if np.isfinite(lengths).all() and lengths.min() > _SHORTEST:
            return _in_float32(names, crops, rows, 1 / lengths, sides.numpy())
    return _in_float64(unit_vectors(names, _stack(names, crops)), sides).numpy()


def _in_float64(
    units: Float[Tensor, "utterances crops dim"], sides: Sides
) -> Float[Tensor, " pairs"]:
    scores = []
    for enrolment, test in _chunks(sides, _CROPPED_CHUNK):
        cosines = units[enrolment] @ units[test].transpose(1, 2)  # (chunk, crops, crops)
        # Rounding may bring a cosine above 1, whose root would be nan.
        scores.append(-(2 - 2 * cosines).clamp(min=0).sqrt().mean(dim=(1, 2)))
    return torch.cat(scores)


def _in_float32(
    names: Sequence[str],
    crops: Sequence[Tensor],
    rows: Sequence[Float[np.ndarray, "crops dim"]],
    inverse_lengths: Float[np.ndarray, "utterances crops"],
    sides: Int[np.ndarray, "pairs 2"],
) -> Float[np.ndarray, " pairs"]:
    # One product a pair, of crops where they lie: copying them into one array for many products
    # takes longer than the products. By enrolment, so that its crops stay in the processor's cache.
    order = np.argsort(sides[:, 0], kind="stable")
    columns = [each.T for each in rows]
    count = len(rows[0])
    scores, is_near = np.empty(len(sides)), np.empty(len(sides), dtype=bool)
    products = np.empty((_CROPPED_BLOCK, count, count), dtype=np.float32)
    even = np.full(count * count, -1 / (count * count), dtype=np.float32)
    inverse = inverse_lengths.astype(np.float32)
    for start in range(0, len(order), _CROPPED_BLOCK):
        block = order[start : start + _CROPPED_BLOCK]
        for place, (enrolment, test) in enumerate(sides[block].tolist()):
            np.dot(rows[enrolment], columns[test], out=products[place])
        squares = products[: len(block)]
        squares *= -2 * inverse[sides[block, 0], :, None]
        squares *= inverse[sides[block, 1], None, :]
        squares += 2
        flat = squares.reshape(len(block), -1)
        is_near[block] = flat.min(axis=1) < _NEAR
        scores[block] = np.sqrt(np.maximum(flat, 0, out=flat), out=flat) @ even
    if is_near.any():
        near = torch.from_numpy(sides[is_near])
        used, places = _distinct(near.flatten())
        close = [crops[place] for place in used.tolist()]
        theirs = [names[place] for place in used.tolist()]
        units = unit_vectors(theirs, _stack(theirs, close))
        scores[is_near] = _in_float64(units, places.reshape(-1, 2)).numpy()
    return scores


def _chunks(sides: Sides, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(sides), size):
        chunk = sides[start : start + size]
        yield chunk[:, 0], chunk[:, 1]


def _crops_of(name: str, embedding: Tensor) -> Tensor:
    if embedding.ndim not in (1, 2):
        raise ValueError(
            f"an embedding has shape (dim,) or (crops, dim), but that of utterance {name!r} has "
            f"shape {tuple(embedding.shape)}"
        )
    return embedding if embedding.ndim == 2 else embedding[None]


def _stack(names: Sequence[str], embeddings: Sequence[Tensor]) -> Tensor:
    _require_one_shape(names, embeddings)
    return torch.stack(list(embeddings)).detach().cpu().double()


def _require_one_shape(names: Sequence[str], embeddings: Sequence[Tensor]) -> None:
    for name, embedding in zip(names, embeddings, strict=True):
        if embedding.shape != embeddings[0].shape:
            raise ValueError(
                f"embeddings must have one shape, got {tuple(embedding.shape)} for utterance "
                f"{name!r} and {tuple(embeddings[0].shape)} for {names[0]!r}"
            )


def unit_vectors(names: Sequence[str], embeddings: Tensor) -> Tensor:
    """Scale embeddings to unit length; each must have a direction."""
    flat = embeddings.reshape(len(names), -1)
    _refuse(names, ~flat.isfinite().all(dim=1), "not finite")
    no_length = embeddings.square().sum(dim=-1).reshape(len(names), -1) == 0
    _refuse(names, no_length.any(dim=1), "all zero")
    return F.normalize(embeddings, dim=-1, eps=0.0)


def _refuse(names: Sequence[str], bad: Tensor, what: str) -> None:
    if bool(bad.any()):
        first = int(bad.nonzero()[0])
        raise Collapsed(
            f"the embedding of utterance {names[first]!r} is {what} "
            f"({int(bad.sum())} of {len(names)} are)"
        )
