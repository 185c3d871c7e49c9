"""Who and what takes part in the demo: the agents, the pool, the tasks, and the people."""

from dataclasses import dataclass

POOL_ID = "compute-pool-primary"
POOL_TOTAL = {"cpu": "16", "memory": "64G", "storage": "500G", "gpu": "2"}
DATA_READY = "external-data-ready"
APPROVAL = "manual-approval"
SCHEDULER = "scheduler"
RISK_OFFICER = "risk.officer@example.com"
CISO = "ciso@example.com"
COMPONENTS = {
    "workflow_engine": "healthy",
    "state_manager": "healthy",
    "communication_layer": "healthy",
    "monitoring_system": "warning",
    "database": "healthy",
    "cache": "healthy",
    "message_queue": "healthy",
}


@dataclass(frozen=True, slots=True)
class AgentPart:
    """An agent as it registers."""

    agent_id: str
    agent_type: str
    capabilities: tuple[str, ...]
    slots: int


@dataclass(frozen=True, slots=True)
class TaskPart:
    """A task as it is added; `requires` holds names of other tasks. `phases` are done in this order."""

    name: str
    title: str
    capability: str
    phases: tuple[str, ...]
    cpu: str
    memory: str
    requires: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


ANALYZER_1, ANALYZER_2 = "policy-analyzer-001", "policy-analyzer-002"
GAP_FINDER, RISK_SCORER, WRITER = "gap-assessment-001", "risk-scorer-001", "report-writer-001"

AGENTS = (
    AgentPart(ANALYZER_1, "policy_analyzer", ("document_analysis", "policy_extraction"), 2),
    AgentPart(ANALYZER_2, "policy_analyzer", ("document_analysis", "policy_extraction"), 2),
    AgentPart(GAP_FINDER, "gap_assessment", ("document_analysis", "gap_identification"), 2),
    AgentPart(RISK_SCORER, "risk_scorer", ("risk_scoring",), 1),
    AgentPart(WRITER, "report_writer", ("remediation_planning", "report_writing"), 1),
)

ICT_RISK, INCIDENTS, RESILIENCE = "ict-risk-framework", "incident-reporting", "resilience-testing"
THIRD_PARTIES, GAPS, RISK = "third-party-register", "gap-assessment", "risk-scoring"
PLAN, REPORT = "remediation-plan", "final-report"
READING = ("preparation", "parsing", "analysis")

TASKS = (
    TaskPart(
        ICT_RISK,
        "ICT risk framework",
        "document_analysis",
        READING,
        "4",
        "12G",
        documents=("ict-risk-policy.pdf", "governance.pdf"),
    ),
    TaskPart(
        INCIDENTS,
        "Incident reporting",
        "document_analysis",
        READING,
        "3",
        "8G",
        documents=("incident-procedure.pdf",),
    ),
    TaskPart(
        RESILIENCE,
        "Resilience testing",
        "document_analysis",
        READING,
        "4",
        "12G",
        documents=("test-programme.pdf", "tlpt-scope.pdf"),
    ),
    TaskPart(
        THIRD_PARTIES,
        "Third-party register",
        "document_analysis",
        READING,
        "3",
        "8G",
        awaits=(DATA_READY,),
        documents=("register-of-information.xlsx",),
    ),
    TaskPart(
        GAPS,
        "Gap assessment",
        "gap_identification",
        ("mapping", "analysis"),
        "6",
        "24G",
        requires=(ICT_RISK, INCIDENTS, RESILIENCE, THIRD_PARTIES),
    ),
    TaskPart(RISK, "Risk scoring", "risk_scoring", ("scoring",), "8", "16G", requires=(GAPS,)),
    TaskPart(PLAN, "Remediation plan", "remediation_planning", ("measures", "owners"), "2", "4G", requires=(RISK,)),
    TaskPart(
        REPORT,
        "Final report",
        "report_writing",
        ("writing", "layout"),
        "2",
        "4G",
        requires=(PLAN,),
        awaits=(APPROVAL,),
    ),
)
