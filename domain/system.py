"""System: configuration, health of components, maintenance windows, and which logs were imported.

There is one in a tenant. Counts, rates and throughput are read models, not state.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, get_args

from domain.aggregate import Aggregate, Event, shallow_copier, unexpected
from domain.errors import Refusal
from domain.room import MOST_COMPONENTS, MOST_WINDOWS
from domain.values import PERSONAL, JsonObject, Payload, iso

SYSTEM_ID = "platform"
"""The id of the one system aggregate of a tenant."""

Limit = Literal["max_concurrent_workflows", "max_workflow_duration", "default_timeout", "retry_attempts"]
ComponentHealth = Literal["healthy", "warning", "degraded", "unhealthy"]

# --- events ---------------------------------------------------------------------------------------------


class SystemConfigured(Event):
    """Only what is set changes; `unset` names the limits that are lifted."""

    type = "SystemConfigured"
    system_id: str | None = None
    environment: str | None = None
    version: str | None = None
    deployment_id: str | None = None
    max_concurrent_workflows: int | None = None
    max_workflow_duration: float | None = None
    default_timeout: float | None = None
    retry_attempts: int | None = None
    unset: tuple[Limit, ...] = ()


class ComponentHealthReported(Event):
    type = "ComponentHealthReported"
    component: str
    health: ComponentHealth


class MaintenanceScheduled(Event):
    type = "MaintenanceScheduled"
    window_id: str
    start: datetime
    end: datetime
    kind: str
    description: Annotated[str, PERSONAL]
    blocks_starts: bool = False


class MaintenanceCancelled(Event):
    type = "MaintenanceCancelled"
    window_id: str


class LogImportBegun(Event):
    """An older log is being imported: what carries earlier times than this was told, not seen.

    `imported_at` is the real time; `at` lies in the imported past, as recorded times only rise.
    """

    type = "LogImportBegun"
    file_name: Annotated[str, PERSONAL]
    sha256: str
    imported_at: datetime


class LogImportEnded(Event):
    type = "LogImportEnded"
    sha256: str
    imported_at: datetime
    counts: Payload


# --- state ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    start: datetime
    end: datetime
    kind: str
    description: str
    blocks_starts: bool


@dataclass(frozen=True, slots=True)
class LogImport:
    file_name: str
    sha256: str
    began_at: datetime
    ended_at: datetime | None = None
    counts: JsonObject = field(default_factory=dict)


@dataclass(slots=True)
class System:
    created_at: datetime
    updated_at: datetime
    system_id: str = "dora-compliance-platform"
    environment: str | None = None
    version: str | None = None
    deployment_id: str | None = None
    max_concurrent_workflows: int | None = None
    max_workflow_duration: float | None = None
    default_timeout: float | None = None
    retry_attempts: int | None = None
    components: dict[str, ComponentHealth] = field(default_factory=dict)
    maintenance: dict[str, MaintenanceWindow] = field(default_factory=dict)
    imports: tuple[LogImport, ...] = ()

    def copy(self) -> "System":
        twin = _copy(self)
        twin.components = self.components.copy()
        twin.maintenance = self.maintenance.copy()
        return twin

    @property
    def overall_health(self) -> ComponentHealth:
        """The worst of the components, where a warning alone leaves the whole healthy."""
        reported = set(self.components.values())
        if "unhealthy" in reported:
            return "unhealthy"
        return "degraded" if "degraded" in reported else "healthy"

    def blocking_window(self, at: datetime) -> str | None:
        """The maintenance window that lets nothing start at this moment, if any."""
        for window_id, window in self.maintenance.items():
            if window.blocks_starts and window.start <= at < window.end:
                return window_id
        return None


CONFIGURABLE = (
    "system_id",
    "environment",
    "version",
    "deployment_id",
    "max_concurrent_workflows",
    "max_workflow_duration",
    "default_timeout",
    "retry_attempts",
)
LIMITS: tuple[Limit, ...] = get_args(Limit)

_copy = shallow_copier(System)

# --- evolve ---------------------------------------------------------------------------------------------


def evolve(system: System | None, event: Event) -> System:
    """Apply one event; the state given is changed and handed back."""
    if system is None:
        system = System(created_at=event.at, updated_at=event.at)
    match event:
        case SystemConfigured():
            for name in CONFIGURABLE:
                if getattr(event, name) is not None:
                    setattr(system, name, getattr(event, name))
            for name in event.unset:
                setattr(system, name, None)
        case ComponentHealthReported():
            system.components[event.component] = event.health
        case MaintenanceScheduled():
            system.maintenance[event.window_id] = MaintenanceWindow(
                event.start, event.end, event.kind, event.description, event.blocks_starts
            )
        case MaintenanceCancelled():
            del system.maintenance[event.window_id]
        case LogImportBegun():
            begun = LogImport(event.file_name, event.sha256, event.imported_at)
            system.imports = (*system.imports, begun)
        case LogImportEnded():
            last = system.imports[-1]
            ended = LogImport(last.file_name, last.sha256, last.began_at, event.imported_at, event.counts)
            system.imports = (*system.imports[:-1], ended)
        case _:
            raise unexpected(event)
    system.updated_at = event.at
    return system


SYSTEM = Aggregate(
    "system",
    System,
    (
        SystemConfigured,
        ComponentHealthReported,
        MaintenanceScheduled,
        MaintenanceCancelled,
        LogImportBegun,
        LogImportEnded,
    ),
    evolve,
)

# --- decisions ------------------------------------------------------------------------------------------


def configure(system: System | None, event: SystemConfigured) -> list[Event]:
    after = evolve(system.copy() if system else None, event)
    before = system or System(created_at=event.at, updated_at=event.at)
    changed = any(getattr(after, name) != getattr(before, name) for name in CONFIGURABLE)
    return [event] if changed else []


def report_component(system: System | None, component: str, health: ComponentHealth, at: datetime) -> list[Event]:
    if system is not None and system.components.get(component) == health:
        return []
    if system is not None and component not in system.components and len(system.components) >= MOST_COMPONENTS:
        raise Refusal(
            "too_many_components",
            f"The system knows {MOST_COMPONENTS:,} components, and may know no more; "
            f"report {component} with one of them.",
            component=component,
            limit=MOST_COMPONENTS,
        )
    return [ComponentHealthReported(at=at, component=component, health=health)]


def schedule_maintenance(system: System | None, event: MaintenanceScheduled) -> list[Event]:
    if event.end <= event.start or event.end <= event.at:
        raise Refusal(
            "maintenance_times",
            f"Maintenance {event.window_id} would end at {iso(event.end)}; "
            "name an end in the future and after its start.",
            window_id=event.window_id,
            start=iso(event.start),
            end=iso(event.end),
        )
    known = system.maintenance.get(event.window_id) if system else None
    if known is None:
        _require_room_for_window(system, event.window_id)
        return [event]
    window = MaintenanceWindow(event.start, event.end, event.kind, event.description, event.blocks_starts)
    if known == window:
        return []
    raise Refusal(
        "maintenance_exists",
        f"There already is a maintenance window {event.window_id} with other times or words; "
        "cancel it first, or choose another id.",
        window_id=event.window_id,
    )


def _require_room_for_window(system: System | None, window_id: str) -> None:
    if system is not None and len(system.maintenance) >= MOST_WINDOWS:
        raise Refusal(
            "too_many_windows",
            f"The system has {MOST_WINDOWS:,} maintenance windows, and may have no more; cancel those that are over.",
            window_id=window_id,
            limit=MOST_WINDOWS,
        )


def cancel_maintenance(system: System | None, window_id: str, at: datetime) -> list[Event]:
    if system is None or window_id not in system.maintenance:
        return []
    return [MaintenanceCancelled(at=at, window_id=window_id)]


def require_no_maintenance(system: System | None, what: str, at: datetime) -> None:
    """Refuse a new start while a window that blocks starts is open."""
    window_id = system.blocking_window(at) if system else None
    if system is not None and window_id is not None:
        end = system.maintenance[window_id].end
        raise Refusal(
            "maintenance",
            f"{what} can't be started during maintenance {window_id}; try again after {iso(end)}.",
            window_id=window_id,
            until=iso(end),
        )


def require_room_for_workflow(system: System | None, active_workflows: int) -> None:
    """The limit of concurrent workflows; soft, as the count comes from a read model."""
    limit = system.max_concurrent_workflows if system else None
    if limit is not None and active_workflows >= limit:
        raise Refusal(
            "too_many_workflows",
            f"{active_workflows} workflows are active and the limit is {limit}; wait for one to end, "
            "or raise the limit.",
            active_workflows=active_workflows,
            limit=limit,
        )
