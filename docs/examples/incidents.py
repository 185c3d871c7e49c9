"""A register of ICT incidents: an application of the library `eventsourcing`, which knows nothing of its store.

docs/eventsourcing.md tells how to run it.
"""

from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Incident(Aggregate):
    """An incident, from its detection to its end.

    What is stored of an event's class is its topic, and not where the class is: so it may move.
    """

    TOPIC = "incident"

    class Created(Aggregate.Created):
        TOPIC = "incident_detected"
        service: str

    class Classified(Aggregate.Event):
        TOPIC = "incident_classified"
        major: bool

    class Resolved(Aggregate.Event):
        TOPIC = "incident_resolved"
        cause: str

    @event(Created)
    def __init__(self, service: str) -> None:
        self.service = service
        self.major: bool | None = None
        self.cause: str | None = None

    @event(Classified)
    def classify(self, major: bool) -> None:
        self.major = major

    @event(Resolved)
    def resolve(self, cause: str) -> None:
        self.cause = cause


class IncidentRegister(Application[UUID]):
    """The incidents of one institution."""

    is_snapshotting_enabled = True

    def detect(self, service: str) -> UUID:
        incident = Incident(service)
        self.save(incident)
        return incident.id

    def classify(self, incident_id: UUID, *, major: bool) -> None:
        incident: Incident = self.repository.get(incident_id)
        incident.classify(major)
        self.save(incident)

    def resolve(self, incident_id: UUID, cause: str) -> None:
        incident: Incident = self.repository.get(incident_id)
        incident.resolve(cause)
        self.save(incident)


def main() -> None:
    with IncidentRegister() as register:
        incident_id = register.detect("payments")
        register.classify(incident_id, major=True)
        register.take_snapshot(incident_id)
        register.resolve(incident_id, "an expired certificate")

        incident: Incident = register.repository.get(incident_id)
        print(f"{incident.service}: major {incident.major}, resolved: {incident.cause}, version {incident.version}")
        last = register.recorder.max_notification_id() or 0
        for notification in register.notification_log.select(last - 2, limit=3):
            print(f"{notification.id} {notification.topic} {notification.state.decode()}")


if __name__ == "__main__":
    main()
