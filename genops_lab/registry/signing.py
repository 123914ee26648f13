"""Sign the files of a model and verify signatures, with OpenSSF model-signing. Nothing of the model is loaded.

A signature is a Sigstore bundle over an in-toto statement that lists the SHA-256 of each file. The signatures, one file
a key, lie beside the model's folder, so that they are none of the model's files. All functions block.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.runtime.model_files import file_digest

from .files.folder import MAX_FILES, entries

#: The only signature of a version that an older GenOps Lab signed.
SIGNATURE = "model.sig"
#: Signatures of one version that are read: those of the given keys first.
MAX_SIGNATURES = 32
INSTALL = "Install it beside GenOps Lab: pip install 'genops-lab[signing]'"
PKCS11 = "pkcs11:"
#: A larger file is not read. A line of a signature has some 250 bytes a file.
MAX_SIGNATURE_BYTES = 20_000_000
_PREDICATE = "https://model_signing/signature/v1.0"
_SHOWN = 3
_SHOWN_HEX = 16
_NAME = re.compile(r"model-[0-9a-f]{16}\.sig")

SignatureState = Literal["valid", "invalid", "unsigned", "cannot be checked"]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a model's signature.

    ``who`` names the keys of all valid signatures: the file of each public key and its fingerprint. ``reason`` says
    why the state is not "valid", as a sentence. ``place`` is the path or URI of the signature's file. ``demanded``:
    the gate file of the version demands it of deployments. ``others``: what the further signatures say, a sentence
    each.
    """

    state: SignatureState
    who: str = ""
    reason: str = ""
    place: str = ""
    demanded: bool = False
    others: list[str] = []


def beside(folder: Path) -> Path:
    """Return the folder of a folder's signatures.

    >>> beside(Path("artifacts/model")).as_posix()
    'artifacts/model.genops'
    """
    return folder.with_name(f"{folder.name}.genops")


def file_name(fingerprint: str) -> str:
    """Return the name of the file of a key's signature.

    >>> file_name("0123456789abcdef0123")
    'model-0123456789abcdef.sig'
    """
    return f"model-{fingerprint[:_SHOWN_HEX]}.sig"


def signatures_among(names: Iterable[str], keys: Sequence[Path] = ()) -> list[str]:
    """Return the files that are signatures, those of the keys first, at most 32."""
    first = {SIGNATURE}
    for key in keys:
        with contextlib.suppress(InvalidRequest):
            first.add(file_name(fingerprint(key)))
    found = [name for name in names if name == SIGNATURE or _NAME.fullmatch(name)]
    return sorted(found, key=lambda name: (name not in first, name))[:MAX_SIGNATURES]


def sign(folder: Path, key: str, password: str = "") -> tuple[bytes, str]:
    """Return the signature of all files of ``folder``, and the fingerprint of the key.

    ``key`` is the path of a private key (PEM, ECDSA on P-256, P-384 or P-521), or a PKCS#11 URI. Raises InvalidRequest
    for a key that cannot be used, and Failed for links, special files, and without the package model-signing.

    >>> signature, fingerprint = sign(Path("model"), "release.key")  # doctest: +SKIP
    """
    try:
        from model_signing import signing
    except ImportError as error:
        raise Failed("Signing needs the package model-signing.", hint=INSTALL) from error
    _plain(folder)
    config = signing.Config().set_hashing_config(_hashing())
    if key.startswith(PKCS11):
        _with_pkcs11(config, key)
    else:
        _with_key_file(config, Path(key), password)
    with tempfile.TemporaryDirectory(prefix="genops-signature-") as scratch:
        written = Path(scratch) / SIGNATURE
        try:
            config.sign(folder, written)
        except OSError:
            raise
        except Exception as error:  # a token's own errors, such as a wrong PIN
            raise Failed(
                f"The files cannot be signed: {_first_line(error)}.", hint="Check the key and its PIN."
            ) from error
        content = written.read_bytes()
    return content, signed_by(content)


def verify(
    folder: Path, key: Path | Sequence[Path], signatures: Path | Sequence[Path] | None = None
) -> Signature:
    """Return whether one of the keys signed all files of ``folder``, by ``signatures`` (default: beside the folder).

    A file that changed, was added or removed, a link and a special file make it invalid. Raises OSError for model
    files that cannot be read.

    >>> verify(Path("model"), Path("release.pub")).state  # doctest: +SKIP
    'valid'
    """
    keys = [key] if isinstance(key, Path) else list(key)
    if signatures is None:
        there = [each.name for each in beside(folder).iterdir()] if beside(folder).is_dir() else []
        places = [beside(folder) / name for name in signatures_among(there, keys)]
    else:
        places = [signatures] if isinstance(signatures, Path) else list(signatures)
    return _together([replace(_verified(folder, keys, place), place=str(place)) for place in places])


#: The most telling state first.
_ORDER: tuple[SignatureState, ...] = ("valid", "invalid", "cannot be checked", "unsigned")


def _together(found: Sequence[Signature]) -> Signature:
    """Return the state of all signatures: one valid one is enough, and all valid ones are named."""
    if not found:
        return Signature(state="unsigned", reason="The files are not signed.")
    # A known key whose files changed tells more than an unknown key.
    first = min(found, key=lambda each: (_ORDER.index(each.state), each.who.startswith("key ")))
    same = [each for each in found if (each.state, each.reason) == (first.state, first.reason)]
    others = [f"{each.who}: {each.reason}" if each.who else each.reason for each in found if each not in same]
    return replace(first, who=", ".join(dict.fromkeys(each.who for each in same)), others=others)


def _verified(folder: Path, keys: Sequence[Path], place: Path) -> Signature:
    try:
        if place.stat().st_size > MAX_SIGNATURE_BYTES:
            return Signature(state="invalid", reason="The signature's file is larger than 20 MB.")
        content = place.read_bytes()
    except FileNotFoundError:
        return Signature(state="unsigned", reason="The files are not signed.")
    if not keys:
        return _unknown("No public key is given. Name one with --key, or in GenOpsLab.trusted_keys.")
    try:
        from model_signing import verifying
    except ImportError:
        return _unknown(f"The package model-signing is missing. {INSTALL}")
    try:
        hint = signed_by(content)
        statement = _statement(content)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return Signature(state="invalid", reason="The signature's file is damaged.")
    trusted = _chosen(keys, hint)
    if isinstance(trusted, Signature):
        return trusted
    who = f"{trusted.name} (key {hint[:16]})"
    try:
        _plain(folder)
    except Failed as error:
        return Signature(state="invalid", who=who, reason=error.message)
    config = verifying.Config().set_hashing_config(_hashing())
    with tempfile.TemporaryDirectory(prefix="genops-signature-") as scratch:
        # A copy of the bytes that were read: the file may change meanwhile.
        copy = Path(scratch) / SIGNATURE
        copy.write_bytes(content)
        same = True
        try:
            config.use_elliptic_key_verifier(public_key=trusted).verify(folder, copy)
        except OSError:
            raise
        except Exception as error:  # what its parts raise: InvalidSignature, ValueError, KeyError
            same = False
            if type(error) is not ValueError or not str(error).startswith("Signature mismatch"):
                return Signature(
                    state="invalid",
                    who=who,
                    reason="The signature is damaged: it was not made with this key, or it changed since.",
                )
    # The statement is authentic now, also where the files differ from it.
    different = _differences(folder, statement, hashed=same)
    if different:
        return Signature(state="invalid", who=who, reason=different)
    return Signature(state="valid", who=who)


def fingerprint(key: Path) -> str:
    """Return the SHA-256 (hex) of a public key, as signatures name it. Raises InvalidRequest."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        found = serialization.load_pem_public_key(key.read_bytes())
    except OSError as error:
        raise InvalidRequest(
            f"The public key {key.name} cannot be read: {error.strerror}.",
            hint="Check its path and its permissions.",
        ) from error
    except ValueError as error:
        raise InvalidRequest(
            f"{key.name} is not a public key in PEM format.",
            hint="Make it from the private key: openssl ec -in KEY -pubout",
        ) from error
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise InvalidRequest(f"{key.name} is not a key for ECDSA.", hint="Make a key on the curve P-256.")
    pem = found.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _hashing() -> Any:
    from model_signing import hashing

    # The default leaves .gitattributes and the like out, and a loader may read these.
    return hashing.Config().use_file_serialization().set_ignored_paths(paths=[], ignore_git_paths=False)


def _plain(folder: Path) -> None:
    found, more = entries(folder)
    if more:
        raise Failed(
            f"The model has more than {MAX_FILES:,} files, or too deep folders.", hint="Pack the files."
        )
    for each in found:
        if each.problem:
            raise Failed(f"{each.path}: {each.problem}", hint="Log the model again with plain files only.")


def _with_key_file(config: Any, key: Path, password: str) -> None:
    try:
        # The library hands the password on to cryptography, which takes bytes.
        config.use_elliptic_key_signer(private_key=key, password=password.encode() if password else None)
    except OSError as error:
        raise InvalidRequest(
            f"The private key {key} cannot be read: {error.strerror}.",
            hint="Check its path and its permissions.",
        ) from error
    except TypeError as error:
        raise InvalidRequest(
            f"The private key {key} is {'not encrypted' if password else 'encrypted'}.",
            hint="Sign without a password."
            if password
            else "Run the command at a terminal, or set GENOPS_KEY_PASSWORD.",
            code="password_needed",
        ) from error
    except (ValueError, AttributeError) as error:
        hint = "Make one: openssl ecparam -name prime256v1 -genkey -noout -out release.key"
        raise InvalidRequest(
            f"{key} is not a private key for ECDSA on P-256, P-384 or P-521 in PEM format, or its password is wrong.",
            hint=hint,
        ) from error


def _with_pkcs11(config: Any, uri: str) -> None:
    try:
        config.use_pkcs11_signer(pkcs11_uri=uri)
    except ImportError as error:
        raise Failed(
            "A key on a PKCS#11 token needs the package PyKCS11.", hint="Install it: pip install PyKCS11"
        ) from error
    except Exception as error:  # the errors of the URI's parser, of PyKCS11 and of the token's module
        raise InvalidRequest(
            f"The PKCS#11 key cannot be used: {_first_line(error)}.",
            hint="Give a URI with module-path (or module-name), token, object and pin-value (or pin-source).",
        ) from error


def _chosen(keys: Sequence[Path], hint: str) -> Path | Signature:
    """Return the key that the signature names, or why there is none."""
    unreadable = []
    for each in keys:
        try:
            if fingerprint(each) == hint:
                return each
        except InvalidRequest as error:
            unreadable.append(error.message)
    if unreadable:
        return _unknown(" ".join(unreadable))
    names = ", ".join(each.name for each in keys)
    return Signature(
        state="invalid", who=f"key {hint[:16]}", reason=f"Another key signed the files, not that of {names}."
    )


def _bundle(content: bytes) -> dict[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def signed_by(content: bytes) -> str:
    """Return the fingerprint that a signature names, which is not verified. Raises ValueError, KeyError, TypeError."""
    hint = _bundle(content)["verificationMaterial"]["publicKey"]["hint"]
    if not isinstance(hint, str) or not hint:
        raise ValueError("no key")  # of a version before 1.0 of the library
    return hint


def _statement(content: bytes) -> dict[str, str]:
    """Return the SHA-256 (hex) of each signed file by its path. Raises ValueError, KeyError, TypeError."""
    try:
        payload = base64.b64decode(_bundle(content)["dsseEnvelope"]["payload"], validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    differences = json.loads(payload)
    predicate = differences["predicate"]
    if differences["predicateType"] != _PREDICATE or predicate["serialization"]["method"] != "files":
        raise ValueError("not a signature of whole files")
    resources = predicate["resources"]
    if any(each["algorithm"] != "sha256" for each in resources):
        raise ValueError("not SHA-256")
    return {str(each["name"]): str(each["digest"]) for each in resources}


def _differences(folder: Path, signed: dict[str, str], *, hashed: bool) -> str:
    """Say how the files differ from those that were signed; empty if all are the same.

    ``hashed``: the hashes of all files that the signature does not leave out are known to be the same. A signature may
    name paths to leave out. Such a file counts as added.
    """
    found, _ = entries(folder)
    there = {each.path for each in found}
    both = [] if hashed else sorted(there & signed.keys())
    changed = [path for path in both if file_digest(str(folder / path)) != signed[path]]
    parts = [
        _named(changed, "changed", "changed"),
        _named(sorted(there - signed.keys()), "was added", "were added"),
        _named(sorted(signed.keys() - there), "was removed", "were removed"),
    ]
    differences = "; ".join(part for part in parts if part)
    return f"Since the files were signed: {differences}." if differences else ""


def _named(paths: list[str], one: str, many: str) -> str:
    if not paths:
        return ""
    shown = ", ".join(paths[:_SHOWN])
    if len(paths) > _SHOWN:
        shown += f" and {len(paths) - _SHOWN} more"
    return f"{shown} {one if len(paths) == 1 else many}"


def _unknown(reason: str) -> Signature:
    return Signature(state="cannot be checked", reason=reason)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
