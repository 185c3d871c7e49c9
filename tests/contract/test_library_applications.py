"""The library's own test cases of applications and projections, on our persistence module."""

import pytest
from eventsourcing.tests import application as applications
from eventsourcing.tests import projection as projections

from tests.support.library import OnOurStore, SqlEventCounters

pytestmark = pytest.mark.usefixtures("library")


class TestExampleApplication(applications.ExampleApplicationTestCase):
    expected_factory_topic = "infrastructure.persistence.factory:LogFactory"


@pytest.mark.filterwarnings("always:'log' is deprecated:DeprecationWarning")  # which a case looks for
class TestApplication(applications.ApplicationTestCase):
    pass


class TestEventCountersView(OnOurStore, projections.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> SqlEventCounters:
        return self.factory().tracking_recorder(SqlEventCounters)


class TestAggregateEventCountersProjection(projections.AggregateEventCountersProjectionTestCase):
    view_class = SqlEventCounters


class TestEventSourcedProjection(projections.EventSourcedProjectionTestCase):
    pass
