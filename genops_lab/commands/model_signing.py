"""``genops models sign`` and ``genops models verify``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.registry.signatures import SignaturesService, SignVersion, VerifyVersion
from genops_lab.registry.signing import PKCS11, Signature

from .completion import model_names
from .document import Cell, Document, Facts, Tone
from .grammar import noun
from .session import EXIT_FAILED, Json, Session, command

signatures = noun()

#: The password of an encrypted private key, where no terminal can ask for it.
PASSWORD_VARIABLE = "GENOPS_KEY_PASSWORD"  # noqa: S105

Name = Annotated[str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)]
Version = Annotated[
    str,
    typer.Option("--version", metavar="VERSION", help="A number or an alias. Default: the newest version."),
]
_TONES: dict[str, Tone] = {"valid": "good", "invalid": "bad"}


@signatures.command("sign")
def sign(
    name: Name,
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="FILE",
            help="A private key in PEM format (ECDSA on P-256, P-384 or P-521), or a PKCS#11 URI. "
            f"The password of an encrypted key is asked for, or read from {PASSWORD_VARIABLE}.",
        ),
    ],
    version: Version = "",
    json: Json = False,
) -> None:
    """Sign the files of a version with a private key.

    The signature is one of OpenSSF model-signing. It replaces an earlier one by the same key, and no other.
    """
    with command(json) as session:
        where = key if key.startswith(PKCS11) else str(_file(key))
        at = number(session, name, version)
        body = SignVersion(key=where, password=_password(session, where))
        found = session.call(SignaturesService.sign_version, name=name, version=at, body=body)
        session.show(found, _document(name, at, found, "signed"))


@signatures.command("verify")
def verify(
    name: Name,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="A public key in PEM format; repeat it for several. Default: the keys that the administrator trusts.",
        ),
    ] = None,
    version: Version = "",
    json: Json = False,
) -> None:
    """Compare the files of a version with their signatures.

    The exit code is 1 unless one of the keys signed exactly these files.
    """
    with command(json) as session:
        texts = {path.name: _read(path) for path in map(_file, keys or [])}
        at = number(session, name, version)
        found = session.call(
            SignaturesService.verify_version, name=name, version=at, body=VerifyVersion(keys=texts)
        )
        session.show(found, _document(name, at, found, found.state))
        if found.state != "valid":
            raise typer.Exit(EXIT_FAILED)


def number(session: Session, name: str, version: str) -> str:
    """Return the number of a version; without ``version`` that of the newest one."""
    if version:
        return version
    from genops_lab.registry.service import RegistryService

    versions = session.call(RegistryService.get_model, name=name).versions
    if not versions:
        raise InvalidRequest(
            f"The model {name!r} has no versions.", hint="Register one: genops models register"
        )
    return versions[0].version


def _document(name: str, version: str, found: Signature, state: str) -> Document:
    return Document(
        [
            Facts(
                [
                    ("model", name),
                    ("version", version),
                    ("signature", Cell(state, _TONES.get(found.state, "busy"))),
                    ("key", found.who),
                    ("reason", found.reason),
                    ("file", found.place),
                    ("others", "; ".join(found.others)),
                ]
            )
        ]
    )


def _file(given: str) -> Path:
    path = Path(given).expanduser().absolute()
    if not path.is_file():
        raise InvalidRequest(f"There is no file {given}.", hint="Give the path of the key's file with --key.")
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"{path} is not a public key in PEM format.",
            hint="Make it from the private key: openssl ec -in KEY -pubout",
        ) from error


def _password(session: Session, key: str) -> str:
    """Return the password of an encrypted key; empty for others. A PKCS#11 URI names its PIN itself."""
    if key.startswith(PKCS11):
        return ""
    try:
        encrypted = b"ENCRYPTED" in Path(key).read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"The private key {key} cannot be read: {error.strerror}.",
            hint="Check its path and its permissions.",
        ) from error
    if not encrypted:
        return ""
    if PASSWORD_VARIABLE in os.environ or not session.can_ask:
        return os.environ.get(PASSWORD_VARIABLE, "")
    import getpass
    import sys

    return getpass.getpass(f"Password of {key}: ", stream=sys.stderr)
