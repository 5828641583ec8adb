"""The address of the cluster, and our credentials there."""

from __future__ import annotations

import os
from pathlib import Path

from lightkube import KubeConfig
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG
from lightkube.config.kubeconfig import SERVICE_ACCOUNT
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from toolbox.settings import SettingsError
from toolbox_fleet_kubernetes.settings import KubernetesSettings


def load(settings: KubernetesSettings) -> SingleConfig:
    """Return the configuration of the connection. Raises SettingsError."""
    try:
        config = _kubeconfig(settings).get(settings.context or None)
    except (ConfigError, OSError, ValueError, KeyError) as error:
        raise SettingsError(f"fleet.kubernetes: no cluster: {error}") from None
    # A kubeconfig without a current context is no error to the library.
    if config is None or not config.cluster.server:
        raise SettingsError("fleet.kubernetes: the kubeconfig names no cluster in this context")
    # A context without a user, as of `kubectl proxy`, is one for the library only by this.
    return config._replace(user=config.user or User())


def _kubeconfig(settings: KubernetesSettings) -> KubeConfig:
    if settings.kubeconfig:
        return KubeConfig.from_file(settings.kubeconfig)
    # Both: the files may be mounted where nothing tells of a cluster.
    if Path(SERVICE_ACCOUNT, "token").exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
        return KubeConfig.from_service_account()
    return KubeConfig.from_file(os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG)
