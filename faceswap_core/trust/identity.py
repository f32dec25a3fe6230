"""certificate chain + key -> who signs outputs: from files, from a KMS, or a throw-away chain for trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from faceswap_core.errors import ConsentError

_CURVES: dict[str, tuple[str, int, hashes.HashAlgorithm]] = {
    "secp256r1": ("es256", 32, hashes.SHA256()),
    "secp384r1": ("es384", 48, hashes.SHA384()),
    "secp521r1": ("es512", 66, hashes.SHA512()),
}
"""Curve -> C2PA's name of the algorithm, bytes of r and of s, and the hash."""
TEST_ORGANIZATION = "TEST ONLY - proves nothing"
"""Organisation in the certificates of a test chain."""


@dataclass(frozen=True)
class Identity:
    """Who signs. A KMS gives one by the entry point group ``faceswap.signers``: a function without arguments."""

    chain_pem: bytes
    """The signer's certificate, then those above it; the root is left out."""
    algorithm: str
    """es256, es384 or es512."""
    sign: Callable[[bytes], bytes]
    """Message -> r and s as big-endian numbers of equal length, one after the other (not DER)."""


def identity_of(chain_pem: bytes, key_pem: bytes, source: str) -> Identity:
    """The identity of a key that is at hand.

    Raises:
        ConsentError: it is no P-256, P-384 or P-521 key, or not that of the chain's first certificate.
    """
    try:
        key = serialization.load_pem_private_key(key_pem, None)
        leaf = x509.load_pem_x509_certificates(chain_pem)[0].public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConsentError(f"{source}: key or certificates cannot be read; give both as PEM, no password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise ConsentError(f"{source}: outputs are signed by keys on P-256, P-384 or P-521; make one of these")
    if not isinstance(leaf, ec.EllipticCurvePublicKey) or leaf.public_numbers() != key.public_key().public_numbers():
        raise ConsentError(f"{source}: the key is not that of the first certificate; put the signer's own first")
    name, size, digest = _CURVES[key.curve.name]

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return Identity(chain_pem, name, sign)


def check_signature(chain_pem: bytes, signature: bytes, message: bytes, anchors: Sequence[bytes], now: datetime) -> str:
    """Why a signature is not believed; '' where it is, by a chain that ends at one of the anchors."""
    try:
        chain = x509.load_pem_x509_certificates(chain_pem)
        roots = [root for pem in anchors for root in x509.load_pem_x509_certificates(pem)]
        key = chain[0].public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
            return "its key is of a kind that is not accepted"
        _, size, digest = _CURVES[key.curve.name]
        if len(signature) != 2 * size:
            return "the signature has another length"
        r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(digest))
        return _chain_fault(chain, roots, now)
    except InvalidSignature:
        return "what is signed was altered"
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        return f"certificates cannot be read ({error})"


def _chain_fault(chain: list[x509.Certificate], roots: list[x509.Certificate], now: datetime) -> str:
    for place, (below, above) in enumerate(zip(chain, [*chain[1:], None], strict=True)):
        if not below.not_valid_before_utc <= now < below.not_valid_after_utc:
            return "a certificate is not valid at this time"
        if place and not _is_authority(below):
            return "a certificate that signs another is no authority"
        issuers = [above] if above is not None else roots
        if not any(_issued(below, issuer, now) for issuer in issuers):
            return "its chain ends at none of the anchors" if above is None else "its chain is broken"
    return ""


def _is_authority(certificate: x509.Certificate) -> bool:
    return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)


def _issued(below: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        below.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return _is_authority(issuer) and issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc


@dataclass(frozen=True)
class TestChain:
    """A root, an intermediate and a signer made on the spot."""

    __test__ = False  # a name that pytest would collect

    root_pem: bytes
    """The anchor."""
    chain_pem: bytes
    """Signer, then intermediate."""
    key_pem: bytes
    """The signer's key."""


def make_test_chain(now: datetime, days: int = 365) -> TestChain:
    """A chain that proves nothing but that the machinery works."""
    root_key, middle_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    span = (now - timedelta(minutes=5), now + timedelta(days=days))
    root = _certificate("Test Root", root_key.public_key(), "Test Root", root_key, span, path_length=1)
    middle = _certificate("Test Intermediate", middle_key.public_key(), "Test Root", root_key, span, path_length=0)
    leaf = _certificate("Test Signer", key.public_key(), "Test Intermediate", middle_key, span, path_length=None)
    pem = [c.public_bytes(serialization.Encoding.PEM) for c in (root, middle, leaf)]
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return TestChain(root_pem=pem[0], chain_pem=pem[2] + pem[1], key_pem=private)


def _certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    span: tuple[datetime, datetime],
    path_length: int | None,
) -> x509.Certificate:
    """A certificate as C2PA wants it; an authority's where ``path_length`` is a number."""
    authority = path_length is not None
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
            critical=True,
        )
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, TEST_ORGANIZATION)
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def is_test(chain_pem: bytes) -> bool:
    """True for a chain made here for trials."""
    try:
        issuer = x509.load_pem_x509_certificates(chain_pem)[-1].issuer
    except ValueError:
        return False
    return any(a.value == TEST_ORGANIZATION for a in issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))


def utc_now() -> datetime:
    """The time by which certificates are judged."""
    return datetime.now(UTC)
