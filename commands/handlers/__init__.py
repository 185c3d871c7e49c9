"""Which handler decides which command."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from commands.handlers import agent, importing, pool, recorded, rollback, system, task, transaction, workflow
from commands.messages import Command
from commands.messages import agent as agent_messages
from commands.messages import importing as importing_messages
from commands.messages import pool as pool_messages
from commands.messages import system as system_messages
from commands.messages import task as task_messages
from commands.messages import workflow as workflow_messages
from commands.messages.transaction import Transaction
from commands.work import Work

Handler = Callable[[Work, Any], None]
"""Decides a command on a unit of work; the second argument is a command of the type it is listed under."""

_HANDLERS: Mapping[type[Command], Handler] = {
    workflow_messages.CreateWorkflow: workflow.create,
    workflow_messages.AddTask: workflow.add_task,
    workflow_messages.ScheduleWorkflow: workflow.schedule,
    workflow_messages.StartWorkflow: workflow.start,
    workflow_messages.PauseWorkflow: workflow.pause,
    workflow_messages.ResumeWorkflow: workflow.resume,
    workflow_messages.SatisfyDependency: workflow.satisfy_dependency,
    workflow_messages.AmendWorkflow: workflow.amend,
    workflow_messages.CompleteWorkflow: workflow.complete,
    workflow_messages.FailWorkflow: workflow.fail,
    workflow_messages.RetryWorkflow: workflow.retry,
    workflow_messages.CancelWorkflow: workflow.cancel,
    workflow_messages.RollBackWorkflow: rollback.roll_back,
    task_messages.ScheduleTask: task.schedule,
    task_messages.AssignTask: task.assign,
    task_messages.StartTask: task.start,
    task_messages.ReportProgress: task.report_progress,
    task_messages.CompletePhase: task.complete_phase,
    task_messages.RecordOutputs: task.record_outputs,
    task_messages.CompleteTask: task.complete,
    task_messages.FailTask: task.fail,
    task_messages.RetryTask: task.retry,
    task_messages.TimeOutTask: task.time_out,
    task_messages.CancelTask: task.cancel,
    agent_messages.RegisterAgent: agent.register,
    agent_messages.Heartbeat: agent.heartbeat,
    agent_messages.ReportHealth: agent.report_health,
    agent_messages.ChangeCapacity: agent.change_capacity,
    agent_messages.UpdateConfiguration: agent.update_configuration,
    agent_messages.MarkOffline: agent.mark_offline,
    agent_messages.DeregisterAgent: agent.deregister,
    pool_messages.CreatePool: pool.create,
    pool_messages.ResizePool: pool.resize,
    pool_messages.ChangePolicies: pool.change_policies,
    pool_messages.Reserve: pool.reserve,
    pool_messages.Release: pool.release,
    pool_messages.ExpireReservations: pool.expire,
    system_messages.ConfigureSystem: system.configure,
    system_messages.ReportComponentHealth: system.report_component,
    system_messages.ScheduleMaintenance: system.schedule_maintenance,
    system_messages.CancelMaintenance: system.cancel_maintenance,
    importing_messages.BeginImport: importing.begin,
    importing_messages.ImportEvent: importing.import_event,
    importing_messages.ImportRecorded: recorded.import_recorded,
    importing_messages.EndImport: importing.end,
}

HANDLERS: Mapping[type[Command], Handler] = {**_HANDLERS, Transaction: partial(transaction.carry_out, _HANDLERS)}
