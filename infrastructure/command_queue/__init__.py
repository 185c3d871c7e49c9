"""The queue of commands: dramatiq's messages and scripts on Redis, called without a thread (docs/queue.md)."""

from infrastructure.command_queue.answers import AnswerBox
from infrastructure.command_queue.broker import CommandBroker, open_broker
from infrastructure.command_queue.dead_letters import DeadCommand, DeadCommands, DeadInFull
from infrastructure.command_queue.fitness import BrokerFull, BrokerUnfit, Fitness
from infrastructure.command_queue.ids import shown
from infrastructure.command_queue.messages import ACTOR, QUEUE, Taken
from infrastructure.command_queue.taking import TakenCommands, figures

__all__ = [
    "ACTOR",
    "QUEUE",
    "AnswerBox",
    "BrokerFull",
    "BrokerUnfit",
    "CommandBroker",
    "DeadCommand",
    "DeadCommands",
    "DeadInFull",
    "Fitness",
    "Taken",
    "TakenCommands",
    "figures",
    "open_broker",
    "shown",
]
