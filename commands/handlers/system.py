"""What each command on the system does."""

from commands import steps
from commands.messages import system as messages
from commands.work import Work
from domain import system as systems
from domain.system import SYSTEM, SYSTEM_ID, MaintenanceScheduled, SystemConfigured


def configure(work: Work, command: messages.ConfigureSystem) -> None:
    event = SystemConfigured(at=work.now, **dict(command))
    work.record(SYSTEM, SYSTEM_ID, systems.configure(steps.system_of(work), event))


def report_component(work: Work, command: messages.ReportComponentHealth) -> None:
    system = steps.system_of(work)
    events = systems.report_component(system, command.component, command.health, work.now)
    work.record(SYSTEM, SYSTEM_ID, events)


def schedule_maintenance(work: Work, command: messages.ScheduleMaintenance) -> None:
    event = MaintenanceScheduled(at=work.now, **dict(command))
    work.record(SYSTEM, SYSTEM_ID, systems.schedule_maintenance(steps.system_of(work), event))


def cancel_maintenance(work: Work, command: messages.CancelMaintenance) -> None:
    system = steps.system_of(work)
    work.record(SYSTEM, SYSTEM_ID, systems.cancel_maintenance(system, command.window_id, work.now))
