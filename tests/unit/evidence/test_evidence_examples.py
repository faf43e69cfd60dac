"""Examples: what is kept of them, how many, and how they are repeated."""

import hashlib
import json
import shlex

import pytest

from daeploy_lib.compare.answer import answer
from daeploy_lib.compare.comparing import compare
from daeploy_lib.compare.rules import ComparisonRules
from daeploy_lib.evidence.examples import (
    MAX_BYTES,
    MAX_EACH,
    MAX_SHAPES,
    Example,
    Examples,
    example_of,
)
from daeploy_lib.evidence.sample import Request, Sample

JSON = "application/json"
SECRETS = ("hunter2hunter2", "sk-12345678", "abcdefghijklmnopqrstuvw", "c2Vzc2lvbg99")


def sample(main: object, shadow: object, request: Request | None = None) -> Sample:
    """Return a sample whose answers differ."""
    one = answer(200, json.dumps(main).encode(), content_type=JSON)
    two = answer(200, json.dumps(shadow).encode(), content_type=JSON)
    asked = request or Request("GET", "/x", "", (), b"", 0)
    comparison = compare(one, two, ComparisonRules())
    return Sample(
        "differ",
        1.0,
        main_status=200,
        shadow_status=200,
        comparison=comparison,
        request=asked,
        main_answer=one,
        shadow_answer=two,
    )


def kept(of: Sample) -> Example:
    """Return the example of a sample."""
    example = example_of(of)
    assert example is not None
    return example


def with_secrets() -> Sample:
    """Return a sample with a secret in each place that may have one."""
    body = json.dumps({"key": "sk-12345678", "n": 1}).encode()
    headers = (
        ("authorization", "Bearer sk-12345678"),
        ("cookie", "id=c2Vzc2lvbg99; theme=dark"),
        ("x-client-secret", "hunter2hunter2"),
        ("accept", "*/*"),
        ("host", "example.org"),
    )
    query = "n=1&token=abcdefghijklmnopqrstuvw&again=sk-12345678"
    request = Request("POST", "/it's/c2Vzc2lvbg99", query, headers, body, len(body))
    main = {"x": 1, "password": "hunter2hunter2", "echo": "sk-12345678"}
    return sample(main, main | {"x": 2, "echo": "c2Vzc2lvbg99"}, request)


def test_no_secret_is_kept() -> None:
    """Nor is one that stands elsewhere than in its header or field."""
    example = kept(with_secrets())
    text = json.dumps(example.to_dict()) + example.curl("http://h")
    assert not [secret for secret in SECRETS if secret in text]
    assert example.left_out == ("authorization", "cookie", "x-client-secret")
    assert example.headers == (("accept", "*/*"),)


def test_a_command_repeats_it() -> None:
    """It is quoted for a shell, and says what was left out."""
    *notes, command = kept(with_secrets()).curl("http://h:1/name/").splitlines()
    assert notes[0] == "# left out: authorization"
    assert notes[-1] == "# the body is redacted"
    words = shlex.split(command)
    assert words[:5] == ["curl", "--globoff", "--path-as-is", "-X", "POST"]
    assert words[5].startswith("http://h:1/name/it's/[redacted]?n=1&token=[redacted]")


def test_what_cannot_be_redacted_is_a_digest() -> None:
    """Text that is no JSON, and a body that was cut, are kept as their lengths."""
    request = Request("POST", "/x", "", (), b"password is hunter2", 19)
    body = kept(sample(1, 2, request)).body
    digest = hashlib.blake2s(b"password is hunter2", digest_size=8).hexdigest()
    assert (body.text, body.length, body.digest) == (None, 19, digest)
    cut = Request("POST", "/x", "", (), b'{"n": 1}', 5000)
    assert kept(sample(1, 2, cut)).body.text is None


def test_they_survive_being_written() -> None:
    """What is read back is equal; what is damaged is refused."""
    examples = Examples([kept(with_secrets()), kept(sample({"a": 1}, {}))])
    read = Examples.from_dict(json.loads(json.dumps(examples.to_dict())))
    assert list(read) == list(examples)
    damaged: list[object] = [None, 3, [1], [{}], [{"at": "now"}]]
    for data in damaged:
        with pytest.raises(ValueError, match="Damaged"):
            Examples.from_dict(data)


def test_many_shapes_are_bounded_and_push_out_nothing() -> None:
    """Twenty thousand shapes leave 64; a common one has three examples at most."""
    examples = Examples()
    for _ in range(1000):
        examples.add(kept(sample({"common": 1}, {"common": 2})))
    example = kept(sample({"rare": 1}, {"rare": 2}))
    examples.add(example)
    wanted = 0
    for n in range(20_000):
        fingerprint = hashlib.blake2s(str(n).encode(), digest_size=8).hexdigest()
        if examples.wants(fingerprint):
            wanted += 1
            data = example.to_dict() | {"fingerprint": fingerprint}
            examples.add(Example.from_dict(data))
    shapes = [one.fingerprint for one in examples]
    assert len(set(shapes)) <= MAX_SHAPES
    assert max(map(shapes.count, shapes)) <= MAX_EACH
    assert example in list(examples)
    assert wanted < 2_000


def test_large_ones_are_bounded() -> None:
    """All of them together take no more than a mebibyte."""
    examples = Examples()
    for n in range(200):
        for m in range(3):
            main = {f"f{n}": 1, "text": "x" * 3900, "m": m}
            shadow = main | {f"f{n}": 2}
            body = json.dumps(main).encode()
            request = Request("POST", "/x", "", (), body, len(body))
            examples.add(kept(sample(main, shadow, request)))
    assert sum(example.size for example in examples) <= MAX_BYTES
    assert len(examples.merged(examples)) <= len(examples)
