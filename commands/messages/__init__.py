"""Every command that can be submitted, by the name it is submitted under."""

from commands.messages import agent, pool, system, task, workflow
from commands.messages.base import Command

COMMANDS: dict[str, type[Command]] = {
    command.type: command
    for command in (
        workflow.CreateWorkflow,
        workflow.AddTask,
        workflow.ScheduleWorkflow,
        workflow.StartWorkflow,
        workflow.PauseWorkflow,
        workflow.ResumeWorkflow,
        workflow.SatisfyDependency,
        workflow.AmendWorkflow,
        workflow.CompleteWorkflow,
        workflow.FailWorkflow,
        workflow.RetryWorkflow,
        workflow.CancelWorkflow,
        workflow.RollBackWorkflow,
        task.ScheduleTask,
        task.AssignTask,
        task.StartTask,
        task.ReportProgress,
        task.CompletePhase,
        task.RecordOutputs,
        task.CompleteTask,
        task.FailTask,
        task.RetryTask,
        task.TimeOutTask,
        task.CancelTask,
        agent.RegisterAgent,
        agent.Heartbeat,
        agent.ReportHealth,
        agent.ChangeCapacity,
        agent.UpdateConfiguration,
        agent.MarkOffline,
        agent.DeregisterAgent,
        pool.CreatePool,
        pool.ResizePool,
        pool.ChangePolicies,
        pool.Reserve,
        pool.Release,
        pool.ExpireReservations,
        system.ConfigureSystem,
        system.ReportComponentHealth,
        system.ScheduleMaintenance,
        system.CancelMaintenance,
    )
}

__all__ = ["COMMANDS", "Command"]
