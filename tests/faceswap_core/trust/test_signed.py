import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceswap_core.errors import ConsentError
from faceswap_core.trust.signed import (
    MAX_BYTES,
    Signed,
    canonical,
    check_signature,
    key_id,
    new_key,
    parse_signed,
    private_key,
    public_key,
    sign,
)

PRIVATE, PUBLIC = new_key()
KEY = private_key(PRIVATE, "key")
TRUSTED = {key_id(KEY.public_key()): KEY.public_key()}
SIGNED = sign(Signed({"schema": "x/1", "n": 3, "text": "für"}, ()), "x/1", KEY)


def test_a_document_survives_its_file_and_its_signature_holds():
    read = parse_signed(SIGNED.to_json().encode(), "file")
    assert read == SIGNED
    assert check_signature(read, "x/1", TRUSTED, "file") == key_id(KEY.public_key())


def test_a_signature_for_one_kind_of_statement_does_not_serve_another():
    with pytest.raises(ConsentError, match="altered"):
        check_signature(SIGNED, "y/1", TRUSTED, "file")


def test_each_changed_byte_of_payload_or_signature_is_noticed():
    text = SIGNED.to_json().encode()
    for at in range(len(text)):
        changed = bytearray(text)
        changed[at] ^= 1
        try:
            read = parse_signed(bytes(changed), "file")
            check_signature(read, "x/1", TRUSTED, "file")
        except ConsentError:
            continue
        assert (read.payload, read.signatures) == (SIGNED.payload, SIGNED.signatures), at  # white space alone


def test_signing_again_replaces_and_a_second_signer_is_added():
    other = private_key(new_key()[0], "other")
    both = sign(sign(SIGNED, "x/1", KEY), "x/1", other)
    assert len(both.signatures) == 2
    assert check_signature(both, "x/1", {key_id(other.public_key()): other.public_key()}, "file")


def test_another_algorithm_under_a_trusted_key_is_not_believed():
    entry = {**SIGNED.signatures[0], "alg": "none"}
    with pytest.raises(ConsentError, match="trusted keys"):
        check_signature(Signed(SIGNED.payload, (entry,)), "x/1", TRUSTED, "file")


@pytest.mark.parametrize("sign", ["*", "é", "\0"])
def test_a_signature_that_is_no_base64_is_refused(sign):
    entry = {**SIGNED.signatures[0], "sig": sign + SIGNED.signatures[0]["sig"]}
    with pytest.raises(ConsentError, match="altered"):
        check_signature(Signed(SIGNED.payload, (entry,)), "x/1", TRUSTED, "file")
    assert len(base64.b64decode(SIGNED.signatures[0]["sig"])) == 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '{"payload": {}}',
        '{"payload": {}, "signatures": [], "more": 1}',
        '{"payload": [], "signatures": []}',
        '{"payload": {}, "signatures": {}}',
        '{"payload": {}, "signatures": [1]}',
        '{"payload": {"a": 1, "a": 2}, "signatures": []}',
        '{"payload": {"a": 1.5}, "signatures": []}',
        '{"payload": {"a": NaN}, "signatures": []}',
        '{"payload": {"a": "\\ud800"}, "signatures": []}',
        '{"payload": {}, "signatures": [{"alg": "Ed25519", "key_id": "x", "sig": 3}]}',
        "[" * 100_000,
        '{"payload":' * 50_000,
        '{"a": 1' + "0" * 5000 + "}",
        '{"payload": {}, "signatures": []}' + " " * MAX_BYTES,
    ],
    ids=lambda text: text[:24],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ConsentError):
        parse_signed(text.encode(), "file")


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ConsentError):
        parse_signed(b"\xff\xfe{}", "file")


_TEXT = st.text(st.characters(codec="utf-8"))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=4))
def test_canonical_bytes_are_those_of_the_value_however_it_was_written(value):
    loosely = json.dumps(value, indent=3)
    assert canonical(json.loads(loosely)) == canonical(value)


@pytest.mark.parametrize("pem", [b"", b"x", PUBLIC])
def test_only_a_private_key_is_one(pem):
    with pytest.raises(ConsentError, match="faceswap consent key"):
        private_key(pem, "file")


@pytest.mark.parametrize("pem", [b"", b"x", PRIVATE])
def test_only_a_public_key_is_one(pem):
    with pytest.raises(ConsentError, match="trusted_keys"):
        public_key(pem, "file")
