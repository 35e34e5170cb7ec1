"""Sentences drawn at random from a small grammar."""

import numpy as np

_WORDS = {
    "adjective": "old young tired cheerful quiet clever hungry careful famous lonely proud gentle "
    "nervous patient polite curious strange friendly foreign busy",
    "person": "teacher farmer doctor sailor neighbour baker painter student captain grandmother "
    "gardener driver nurse singer lawyer judge visitor engineer carpenter shepherd",
    "action": "carried found painted watched borrowed repaired forgot sold moved counted hid "
    "washed photographed noticed measured opened bought followed described dropped",
    "colour": "red blue yellow green purple black orange silver white brown grey golden",
    "thing": "umbrella bicycle suitcase mirror kettle violin ladder basket window carpet garden "
    "letter jacket machine picture chair bottle clock engine sheep telephone vegetable",
    "place": "beside the river; behind the church; near the station; under the bridge; "
    "in the kitchen; on the hill; at the market; outside the school; across the valley; "
    "along the beach; above the village; in the museum; by the fire; through the forest",
    "time": "yesterday; this morning; last winter; before lunch; every Thursday; after the storm; "
    "at midnight; in the summer; a year ago; on Friday evening; too early; once again",
}

_SENTENCES = (
    "The {adjective} {person} {action} the {colour} {thing} {place}.",
    "{time}, my {adjective} {person} {action} a {colour} {thing}, very slowly.",
    "Why has the {person} {place} {action} that {adjective} {thing}?",
    "She {action} the {thing} {place} and thanked the {adjective} {person}.",
    "We heard that a {person} {action} your {colour} {thing} {time}.",
    "Nobody {action} the {thing} {time} except one {adjective} {person}.",
    "Please tell the {adjective} {person} who {action} our {thing} {place}.",
    "The {colour} {thing} {place} belongs to a {adjective} {person}.",
)


def draw_sentence(chance: np.random.Generator) -> str:
    """Draw one English sentence."""
    words = {
        kind: str(chance.choice(text.split("; ") if ";" in text else text.split()))
        for kind, text in _WORDS.items()
    }
    sentence = _SENTENCES[chance.integers(len(_SENTENCES))].format(**words)
    return sentence[0].upper() + sentence[1:]
