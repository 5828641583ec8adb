"""Authentication made from the settings: what must be known before there is a worker process
(:func:`make_auth`), and what a plugin adds in it (:func:`choose_authenticator`).
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import MutableMapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolbox.auth import Authenticator
from toolbox.auth.access import Auth
from toolbox.auth.anyone import AnyoneAuthenticator
from toolbox.auth.secret_files import SecretFiles
from toolbox.auth.secret_files import absolute
from toolbox.auth.secret_files import read_secret
from toolbox.auth.secret_store import SecretStore
from toolbox.auth.secret_store import usable_digest
from toolbox.auth.secret_store import usable_key
from toolbox.auth.secret_store import usable_token
from toolbox.auth.signing import KEY_VARIABLE
from toolbox.auth.tokens import TokenAuthenticator
from toolbox.settings import AuthSettings
from toolbox.settings import SettingsError
from toolbox.settings.values import Problems

if TYPE_CHECKING:
    from toolbox.plugins import Registry
    from toolbox.settings import Values

TOKEN_VARIABLE = "TOOLBOX_TOKEN"
DIGEST_VARIABLE = "TOOLBOX_CALLER_DIGEST"

SECRET_VARIABLES = (TOKEN_VARIABLE, KEY_VARIABLE, DIGEST_VARIABLE)
"""Environment variables that children don't inherit."""


def is_plugins(settings: AuthSettings) -> bool:
    """Report whether a plugin's authenticator is in use."""
    return settings.mode == "plugin"


def is_loopback(host: str) -> bool:
    """Report whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def most_exposed(hosts: Sequence[str]) -> str:
    """Return the first of ``hosts`` that other machines can reach, or simply the first."""
    return next((host for host in hosts if not is_loopback(host)), hosts[0])


def make_auth(settings: AuthSettings, host: str, environ: MutableMapping[str, str]) -> Auth:
    """Return the authentication of a service on ``host``.

    Takes :data:`SECRET_VARIABLES` out of ``environ``.
    Raises SettingsError if a token is needed and there is none, or if one of them can't be read or
    used. In mode ``plugin`` the token, if there is one, is accepted until
    :func:`choose_authenticator` was called.
    """
    (token, key, digest), files = _secrets(settings, environ)
    if settings.mode == "none":
        return Auth(AnyoneAuthenticator(), SecretStore())
    generated = ""
    if not token and not is_plugins(settings):
        if not is_loopback(host):
            raise SettingsError(
                f"{host} can be reached from other machines, so a token is needed: set"
                f' {TOKEN_VARIABLE} or auth.token_file, or write auth.mode = "none"'
            )
        if settings.mode == "token":
            generated = secrets.token_urlsafe(32)  # 256 bits: guesses needn't be counted.
    store = SecretStore(token, key, files, generated, digest)
    return Auth(TokenAuthenticator(store), store)


def _secrets(
    settings: AuthSettings, environ: MutableMapping[str, str]
) -> tuple[tuple[str, str, str], SecretFiles]:
    """Return token, signing key and digest, empty for none, and the files to read again."""
    # Stripped: a variable may have been made from a file, with its newline.
    token, key, digest = (environ.pop(name, "").strip() for name in SECRET_VARIABLES)
    # The environment wins: where it has a secret, a changed file must not replace it later.
    files = SecretFiles(
        token="" if token else absolute(settings.token_file),
        signing_key="" if key else absolute(settings.signing_key_file),
        caller_digest="" if digest else absolute(settings.caller_digest_file),
    )
    with Problems() as problems:
        with problems.noted():
            token = usable_token(token or read_secret("token_file", settings.token_file))
        with problems.noted():
            key = usable_key(key or read_secret("signing_key_file", settings.signing_key_file))
        with problems.noted():
            file = settings.caller_digest_file
            digest = usable_digest(digest or read_secret("caller_digest_file", file))
    return (token, key, digest), files


def choose_authenticator(
    settings: AuthSettings, registry: Registry, values: Values, built_in: Authenticator
) -> Authenticator:
    """Return the authenticator in use: ``built_in``, or in mode ``plugin`` that of a plugin.

    Raises SettingsError unless exactly one plugin offers one, and it can be made: a service must
    not be open because a plugin is broken.
    """
    if not is_plugins(settings):
        return built_in
    hook = registry.hook.toolbox_authenticator
    # Only asked which plugins implement it: a call would create the authenticators of all.
    plugins = sorted(found.plugin_name for found in hook.get_hookimpls())
    where = f"{values.source(('auth', 'mode'))}: auth.mode"
    if not plugins:
        raise SettingsError(f"{where}: no enabled plugin offers an authenticator")
    if len(plugins) > 1:
        raise SettingsError(
            f"{where}: the plugins {', '.join(plugins)} all offer an authenticator: disable all"
            " but one"
        )
    try:
        made = hook(built_in=built_in, values=values)
    except SettingsError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        message = f"{where}: the authenticator of {plugins[0]} can't be made: {reason}"
        raise SettingsError(message) from error
    if not isinstance(made, Authenticator):
        raise SettingsError(f"{where}: {plugins[0]} returned {made!r}, not an Authenticator")
    return made
