"""The platform file: what is right, and what each mistake reads like."""

import pytest

from operators.core.platform import Platform, PlatformError, parse

RUNG = {"name": "720p", "width": 1280, "height": 720, "videoKbps": 2800}
SMALL = {"name": "480p", "width": 854, "height": 480, "videoKbps": 1400}
APP = {"role": "Recommendation", "importPath": "a:b", "routePrefix": "/a"}


def test_an_empty_file_is_the_default() -> None:
    assert parse(None) == Platform()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param({"publicURL": "x"}, "publicURL: Extra inputs", id="typing mistake"),
        pytest.param({"ladders": {"hd": {"rungs": [RUNG]}}}, "one named `default` is needed", id="no default ladder"),
        pytest.param({"ladders": {"default": {"rungs": []}}}, "ladders.default.rungs", id="ladder without rungs"),
        pytest.param({"ladders": {"default": {"rungs": [RUNG, RUNG | {"name": "b"}]}}}, "each height may occur once",
                     id="a height twice"),
        pytest.param({"ladders": {"default": {"rungs": [RUNG, SMALL | {"videoKbps": 2800}]}}},
                     "a higher rung needs more videoKbps", id="bit rates that do not rise"),
        pytest.param({"ladders": {"default": {"rungs": [RUNG], "gopSeconds": 1.5}}}, "gopSeconds must divide",
                     id="groups that do not fit a segment"),
        pytest.param({"pools": {"default": {"buffer": {"size": "many"}}}}, "neither a number nor a percentage",
                     id="buffer in words"),
        pytest.param({"pools": {"default": {"buffer": {"min": 5, "max": 2}}}}, "min must not exceed max", id="bounds"),
        pytest.param({"models": {"m": APP | {"role": "Oracle"}}}, "models.m.role", id="unknown role"),
        pytest.param({"models": {"m": {"role": "Sentiment", "runtime": "External"}}}, "url is needed", id="no url"),
        pytest.param({"models": {"m": {"role": "Sentiment"}}}, "importPath and routePrefix", id="no import path"),
        pytest.param({"cdnProviders": {"c": {"driver": "Pigeon"}}}, "cdnProviders.c.driver", id="unknown driver"),
        pytest.param({"interruptAfterSeconds": 0}, "interruptAfterSeconds", id="out of range"),
        pytest.param("text", "valid dictionary", id="not a mapping"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_field(document: object, words: str) -> None:
    with pytest.raises(PlatformError) as error:
        parse(document)
    assert words in str(error.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(PlatformError) as error:
        parse({"interruptAfterSeconds": 0, "typo": 1})
    assert "interruptAfterSeconds" in str(error.value)
    assert "typo" in str(error.value)
