"""Warm pools: list, create, change and delete."""

from __future__ import annotations

from toolbox.group import Operations
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasWarmPools
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.warm_pools import CreateWarmPool
from toolbox_fleet.models.warm_pools import UpdateWarmPool
from toolbox_fleet.models.warm_pools import WarmPool
from toolbox_fleet.routes.abilities import able

operations = Operations()


@operations.get("/api/warm-pools", errors=(Unsupported,))
def list_warm_pools(backend: FleetBackend) -> list[WarmPool]:
    """List warm pools in the order of their creation."""
    pools = able(backend, HasWarmPools).warm_pools()
    return sorted(pools, key=lambda pool: (pool.created_at, pool.id))


@operations.post("/api/warm-pools", status=201, errors=(NameTaken, NoSuchResource, Unsupported))
def create_warm_pool(backend: FleetBackend, body: CreateWarmPool) -> WarmPool:
    """Keep started sandboxes of a snapshot ready."""
    return able(backend, HasWarmPools).create_warm_pool(body)


@operations.patch("/api/warm-pools/{pool_id}", errors=(NoSuchResource, Unsupported))
def update_warm_pool(backend: FleetBackend, pool_id: str, body: UpdateWarmPool) -> WarmPool:
    """Set the number of sandboxes to keep ready."""
    return able(backend, HasWarmPools).update_warm_pool(pool_id, body.pool)


@operations.delete("/api/warm-pools/{pool_id}", status=204, errors=(NoSuchResource, Unsupported))
def delete_warm_pool(backend: FleetBackend, pool_id: str) -> None:
    """Delete a pool and the sandboxes that wait in it."""
    able(backend, HasWarmPools).delete_warm_pool(pool_id)
