"""A key per person, outside the database: with it gone, every copy of the person's memories is noise.

Each key lies in a file of its own, so that destroying it is one overwrite and one unlink. Keep the folder where no
backup of the database reaches it; a master key (from the environment) keeps the files useless by themselves.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path
from typing import Final, NamedTuple

from agentmem.errors import BackendError, ConfigError
from agentmem.log.writelock import WriteLock

MASTER_KEY_VARIABLE: Final = "AGENTMEM_MASTER_KEY"

_KEY_BYTES: Final = 64
"""AES-256-SIV takes two keys of 256 bits (RFC 5297)."""
_MASTER_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_WAITS_S: Final = 30.0

Subject = tuple[str, str, str]
"""Tenant, ``user`` or ``agent``, and its id."""

OF_THE_LOG: Final[Subject] = ("", "", "")
"""Nobody: the subject of the key that is the log's own."""


class Key(NamedTuple):
    """A subject's key and a name for it that tells nothing of it."""

    secret: bytes
    name: str


class KeyRing:
    """The keys of all subjects, in a folder.

    Args:
        folder: Made if it is missing, for its owner alone.
        master_key: 32 bytes that wrap every key; None leaves them bare.

    Raises:
        ConfigError: the folder cannot be made, or the master key is none.
    """

    def __init__(self, folder: str | Path, *, master_key: bytes | None = None) -> None:
        if master_key is not None and len(master_key) != _MASTER_BYTES:
            raise ConfigError(f"The master key has {len(master_key)} bytes, not {_MASTER_BYTES}.")
        self.folder = Path(folder)
        self._master = master_key
        self._seen: dict[Subject, tuple[os.stat_result, Key]] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"{self.folder}: the folder of the keys cannot be made: {error.strerror}.") from error

    def of(self, subject: Subject) -> Key | None:
        """The subject's key, or None if it has none (any more)."""
        path = self._path(place_of(subject))
        try:
            found = path.stat()
            known = self._seen.get(subject)
            # Another process may have destroyed it, and made a new one since.
            if known is not None and _is_same(known[0], found):
                return known[1]
            key = self._unwrapped(path.read_bytes(), path)
        except FileNotFoundError:
            self._seen.pop(subject, None)
            return None
        except OSError as error:
            raise BackendError(f"{path}: the key cannot be read: {error.strerror}.") from error
        self._seen[subject] = found, key
        return key

    def made(self, subject: Subject) -> Key:
        """The subject's key; a new one if it has none."""
        while (key := self.of(subject)) is None:
            self._make(self._path(place_of(subject)))
        return key

    def destroy(self, place: str, name: str) -> bool:
        """Overwrite and remove the key of this name; False if it was gone. A newer key in its place stays.

        Args:
            place: ``place_of`` whose it was, which outlives the name of who it was.
        """
        path = self._path(place)
        going = path.with_name(f"{place}.going")
        lock = WriteLock(path.with_name(".lock"), timeout_s=_WAITS_S)
        try:
            if not path.parent.is_dir():
                return False
            with lock.hold():
                # Out of its place first: half overwritten it would be taken for another key.
                is_left = self._shredded(going)
                if not self._lies_at(path, name):
                    return is_left
                path.rename(going)
                _sync_folder(path.parent)
                return self._shredded(going)
        except OSError as error:
            raise BackendError(f"{path}: the key cannot be destroyed: {error.strerror}.") from error
        finally:
            lock.close()

    def _lies_at(self, path: Path, name: str) -> bool:
        try:
            return self._unwrapped(path.read_bytes(), path).name == name
        except FileNotFoundError:
            return False

    def _shredded(self, path: Path) -> bool:
        try:
            with path.open("r+b", buffering=0) as file:
                file.write(os.urandom(path.stat().st_size))
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            return False
        _sync_folder(path.parent)
        return True

    def _make(self, path: Path) -> None:
        new = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            with open(new, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(self._wrapped(os.urandom(_KEY_BYTES)))
                file.flush()
                os.fsync(file.fileno())
            # Not a rename: of two processes that make a key at once the first one's must stay.
            os.link(new, path)
        except FileExistsError:
            pass
        except OSError as error:
            raise BackendError(f"{path}: the key cannot be written: {error.strerror}.") from error
        finally:
            new.unlink(missing_ok=True)
        for folder in (path.parent, self.folder):
            _sync_folder(folder)

    def _wrapped(self, secret: bytes) -> bytes:
        if self._master is None:
            return secret
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._master).encrypt(nonce, secret, None)

    def _unwrapped(self, stored: bytes, path: Path) -> Key:
        secret = stored
        if self._master is not None:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            try:
                secret = AESGCM(self._master).decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], None)
            except (InvalidTag, ValueError):
                secret = b""
        if len(secret) != _KEY_BYTES:
            raise ConfigError(
                f"{path}: it cannot be unwrapped by this master key.",
                hint=f"Set {MASTER_KEY_VARIABLE} as it was when the key was made.",
            )
        return Key(secret, hashlib.blake2b(secret, digest_size=6).hexdigest())

    def _path(self, place: str) -> Path:
        return self.folder / place[:2] / place


def place_of(subject: Subject) -> str:
    """What the file of the subject's key is called."""
    return hashlib.blake2b(json.dumps(subject).encode(), digest_size=20).hexdigest()


def master_key(variable: str = MASTER_KEY_VARIABLE) -> bytes | None:
    """The master key of an environment variable, 32 bytes in base64; None if it is not set.

    Raises:
        ConfigError: it is set to something else.
    """
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _MASTER_BYTES:
        raise ConfigError(
            f"${variable} is not {_MASTER_BYTES} bytes in base64.",
            hint="Make one: python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'",
        )
    return key


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return os.path.samestat(one, other) and one.st_mtime_ns == other.st_mtime_ns


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
