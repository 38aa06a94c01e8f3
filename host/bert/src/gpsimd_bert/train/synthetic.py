"""A small review set that the package makes itself, for a first run without any file or network.

Sentences are drawn from templates. What makes the set more than a word count: praise that is negated,
expectations that were not met ("i hoped for great sound, but ..."), neutral filler about delivery and price,
minorities of opposite opinion, and one label in 40 turned round. It is the same on every machine.
"""

import random

import numpy as np

TRAINING, VALIDATION = 960, 240
SEED = 20130301
TURNED_ROUND = 1 / 40

_THINGS = [
    "headphones",
    "keyboard",
    "camera",
    "charger",
    "speaker",
    "film",
    "soundtrack",
    "kettle",
    "backpack",
]
_THINGS += [
    "lamp",
    "router",
    "novel",
    "toaster",
    "watch",
    "tripod",
    "printer",
    "microphone",
    "remote",
    "drill",
]
_PARTS = [
    "sound",
    "picture",
    "battery",
    "build",
    "story",
    "acting",
    "finish",
    "hinge",
    "manual",
    "screen",
    "cable",
]
_PRAISE = ["excellent", "superb", "solid", "crisp", "reliable", "wonderful", "flawless", "great", "gripping"]
_BLAME = [
    "awful",
    "flimsy",
    "dull",
    "unreliable",
    "terrible",
    "useless",
    "disappointing",
    "broken",
    "tedious",
]
_FILLER = (
    "it arrived on a tuesday",
    "i bought it for my brother",
    "the colour is the one in the picture",
    "the box holds the {thing}, a cable and a leaflet",
    "i paid about thirty dollars",
    "i have owned three of these over the years",
    "delivery took a week",
    "we use it in the kitchen",
)
_GOOD = (
    "the {part} is {praise}",
    "i expected a {blame} {part}, yet it turned out {praise}",
    "the {part} is not {blame} at all",
    "nobody here could call the {part} {blame}",
    "i would buy it again",
    "it still works like on the first day",
)
_BAD = (
    "the {part} is {blame}",
    "i hoped for a {praise} {part}, but it is {blame}",
    "the {part} is anything but {praise}",
    "nobody here could call the {part} {praise}",
    "i sent it back",
    "it stopped working after a month",
)


class SyntheticReviews:
    """`TRAINING` or `VALIDATION` reviews in memory; the two parts never share a review's random stream."""

    def __init__(self, part: str):
        """`part`: "training" or "validation"."""
        count = {"training": TRAINING, "validation": VALIDATION}[part]
        chance = random.Random(f"{SEED} {part}")
        labels = [chance.randrange(2) for _ in range(count)]
        self._contents = [_review(chance, label) for label in labels]
        self.labels = np.array([label ^ (chance.random() < TURNED_ROUND) for label in labels], dtype=np.uint8)

    def contents(self, rows) -> list[str]:
        """The texts of `rows`, in that order."""
        return [self._contents[row] for row in rows]


def _review(chance: random.Random, label: int) -> str:
    own, other = (_GOOD, _BAD) if label else (_BAD, _GOOD)
    opinions = chance.randint(2, 4)
    sentences = [chance.choice(own) for _ in range(opinions)]
    if opinions > 2 and chance.random() < 0.4:
        sentences.append(chance.choice(other))
    sentences += chance.sample(_FILLER, chance.randint(1, 3))
    chance.shuffle(sentences)
    thing = chance.choice(_THINGS)
    filled = (
        sentence.format(
            thing=thing,
            part=chance.choice(_PARTS),
            praise=chance.choice(_PRAISE),
            blame=chance.choice(_BLAME),
        )
        for sentence in sentences
    )
    return ". ".join([f"this is about the {thing}", *filled]) + "."
