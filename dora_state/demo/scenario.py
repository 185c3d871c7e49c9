"""The story of the demo, as data: what is said, and what is submitted while it is said.

A DORA compliance assessment of eight tasks. One agent goes offline in the middle, the assessment waits for
data and for a person's approval, and a wrong result is noticed and taken back by a rollback.
"""

from dataclasses import dataclass
from typing import Literal

from dora_state.demo.assessment import Assessment, Submission
from dora_state.demo.cast import (
    ANALYZER_1,
    ANALYZER_2,
    APPROVAL,
    CISO,
    DATA_READY,
    GAP_FINDER,
    GAPS,
    ICT_RISK,
    INCIDENTS,
    PLAN,
    REPORT,
    RESILIENCE,
    RISK,
    RISK_OFFICER,
    RISK_SCORER,
    SCHEDULER,
    THIRD_PARTIES,
    WRITER,
)

Tone = Literal["work", "good", "trouble", "waiting", "person"]
AGENT_LOST, GAPS_FOUND = "agent lost", "gaps found"


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of the story.

    `refused` is the code with which the last submission must be refused, `known` one that any may be refused
    with (what an earlier run has left is there already). `mark` remembers the moment under a name. `seconds`
    is how long a person may look at it.
    """

    says: str
    submissions: tuple[Submission, ...] = ()
    seconds: float = 0.5
    tone: Tone = "work"
    refused: str | None = None
    known: str | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class RollBack:
    """The workflow is taken back to a marked moment; the difference is shown first."""

    previews: str
    says: str
    to: str
    reason: str
    operator: str
    seconds: float
    tone: Tone = "person"


Story = tuple[Step | RollBack, ...]


def story(run: Assessment) -> Story:
    """All steps in order, for one run."""
    return (*_opening(run), *_reviews(run), *_findings(run), *_correction(run), *_ending(run))


def _opening(run: Assessment) -> Story:
    return (
        Step(
            "Five agents report for work, and a pool lends them 16 cores and 64 GB of memory.",
            (*run.platform(), *run.agents()),
            seconds=0.9,
            known="pool_exists",
        ),
        Step(
            "A bank orders its DORA assessment: eight tasks, and two conditions from outside.",
            run.workflow(),
            seconds=0.9,
        ),
        Step(
            "The assessment starts; the two policy analyzers take two tasks each.",
            (
                run.on_workflow("StartWorkflow", SCHEDULER),
                *run.hand_over(ICT_RISK, ANALYZER_1),
                *run.hand_over(INCIDENTS, ANALYZER_2),
                *run.hand_over(RESILIENCE, ANALYZER_1),
                run.assign(THIRD_PARTIES, ANALYZER_2, "capability_match"),
            ),
            seconds=0.9,
        ),
        Step(
            "Refused: the third-party register can't be started before its data are there.",
            (run.start(THIRD_PARTIES, ANALYZER_2),),
            seconds=0.9,
            tone="waiting",
            refused="task_blocked",
        ),
    )


def _reviews(run: Assessment) -> Story:
    return (
        Step(
            "Heartbeats and progress come in.",
            (
                *run.heartbeats((ANALYZER_1, 61.0), (ANALYZER_2, 55.0), (GAP_FINDER, 4.0)),
                run.phase(ICT_RISK, ANALYZER_1, "preparation"),
                run.progress(ICT_RISK, ANALYZER_1, 35.0, "parsing"),
                run.progress(INCIDENTS, ANALYZER_2, 20.0, "preparation"),
                run.progress(RESILIENCE, ANALYZER_1, 15.0, "preparation"),
            ),
        ),
        Step(
            "The reviews go on.",
            (
                run.phase(ICT_RISK, ANALYZER_1, "parsing"),
                run.progress(ICT_RISK, ANALYZER_1, 80.0, "analysis"),
                run.phase(INCIDENTS, ANALYZER_2, "preparation"),
                run.progress(INCIDENTS, ANALYZER_2, 45.0, "parsing"),
                run.progress(RESILIENCE, ANALYZER_1, 40.0, "preparation"),
            ),
        ),
        Step(
            "policy-analyzer-002 falls silent and is marked offline: the task it runs fails, "
            "the one that waits is given back.",
            (run.submission("MarkOffline", "monitoring", agent_id=ANALYZER_2, reason="its node does not answer"),),
            seconds=1.6,
            tone="trouble",
            mark=AGENT_LOST,
        ),
        Step(
            "The ICT risk framework is reviewed: 78 % compliant, 3 gaps.",
            (
                run.complete(ICT_RISK, ANALYZER_1, compliance_score=0.78, gaps_identified=3),
                run.progress(RESILIENCE, ANALYZER_1, 70.0, "preparation"),
            ),
            tone="good",
        ),
        Step(
            "The failed task gets its second attempt, with policy-analyzer-001.",
            (
                run.on_task("RetryTask", SCHEDULER, INCIDENTS),
                *run.hand_over(INCIDENTS, ANALYZER_1, "retry_after_agent_loss"),
            ),
            seconds=0.9,
        ),
        Step(
            "The register of ICT providers has arrived; gap-assessment-001 has room and takes it.",
            (
                run.on_workflow("SatisfyDependency", "data-feed", dependency=DATA_READY),
                *run.hand_over(THIRD_PARTIES, GAP_FINDER, "available_slot"),
                *run.heartbeats((ANALYZER_1, 72.5), (GAP_FINDER, 38.0), (RISK_SCORER, 3.0)),
            ),
            seconds=0.6,
            tone="good",
        ),
        Step(
            "Resilience testing is reviewed; two reviews are left.",
            (
                run.complete(RESILIENCE, ANALYZER_1, compliance_score=0.69, gaps_identified=4),
                run.progress(INCIDENTS, ANALYZER_1, 60.0, "preparation"),
                run.progress(THIRD_PARTIES, GAP_FINDER, 55.0, "preparation"),
            ),
            tone="good",
        ),
        Step(
            "All four reviews are done.",
            (
                run.complete(INCIDENTS, ANALYZER_1, compliance_score=0.85, gaps_identified=1),
                run.complete(THIRD_PARTIES, GAP_FINDER, providers=42, critical_providers=7, gaps_identified=3),
            ),
            tone="good",
        ),
    )


def _findings(run: Assessment) -> Story:
    return (
        Step("The gap assessment puts them together.", run.hand_over(GAPS, GAP_FINDER)),
        Step(
            "It finds 11 gaps, 3 of them critical.",
            (
                run.phase(GAPS, GAP_FINDER, "mapping"),
                run.progress(GAPS, GAP_FINDER, 90.0, "analysis"),
                run.complete(GAPS, GAP_FINDER, gaps_identified=11, critical_gaps=3),
            ),
            seconds=0.6,
            tone="good",
            mark=GAPS_FOUND,
        ),
        Step(
            "The risks are scored.",
            (
                *run.hand_over(RISK, RISK_SCORER),
                run.progress(RISK, RISK_SCORER, 50.0, "scoring"),
                *run.heartbeats((RISK_SCORER, 91.0), (WRITER, 5.0)),
            ),
        ),
        Step(
            "Risk score 0.12, low; the remediation plan is begun on that ground.",
            (
                run.complete(RISK, RISK_SCORER, risk_score=0.12, rating="low"),
                *run.hand_over(PLAN, WRITER),
                run.progress(PLAN, WRITER, 40.0, "measures"),
            ),
            seconds=0.9,
            tone="good",
        ),
        Step(
            "The risk officer sees it: 3 critical gaps and a low risk? It was scored with last year's weights.",
            seconds=1.6,
            tone="trouble",
        ),
    )


def _correction(run: Assessment) -> Story:
    return (
        RollBack(
            "A rollback to the moment when the gaps were found, as a dry run first: this would change.",
            "Rolled back by the risk officer. Nothing is erased: the rollback is one more event, with its reason.",
            to=GAPS_FOUND,
            reason="Risk was scored with last year's weights",
            operator=RISK_OFFICER,
            seconds=1.6,
        ),
        Step(
            "The scorer gets this year's weights, and the risks are scored again.",
            (
                run.submission(
                    "UpdateConfiguration",
                    RISK_OFFICER,
                    agent_id=RISK_SCORER,
                    version=f"1.2.1-{run.suffix}",
                    config_hash=f"weights-{run.began:%Y}",
                ),
                *run.hand_over(RISK, RISK_SCORER),
                run.progress(RISK, RISK_SCORER, 60.0, "scoring"),
            ),
            seconds=0.6,
        ),
        Step(
            "Risk score 0.64, high: the plan is made for that.",
            (
                run.complete(RISK, RISK_SCORER, risk_score=0.64, rating="high"),
                *run.hand_over(PLAN, WRITER),
                run.phase(PLAN, WRITER, "measures"),
                run.progress(PLAN, WRITER, 70.0, "owners"),
            ),
            seconds=0.6,
            tone="good",
        ),
        Step(
            "The plan has 14 measures, each with an owner.",
            (run.complete(PLAN, WRITER, measures=14, owners=6),),
            tone="good",
        ),
    )


def _ending(run: Assessment) -> Story:
    return (
        Step(
            "Refused: the final report waits for a person's approval, and the workflow with it.",
            (run.assign(REPORT, WRITER, "capability_match"), run.start(REPORT, WRITER)),
            seconds=1.3,
            tone="waiting",
            refused="task_blocked",
        ),
        Step(
            "Meanwhile policy-analyzer-002 is heard of again.",
            run.heartbeats((ANALYZER_2, 6.0)),
            seconds=0.8,
            tone="good",
        ),
        Step(
            "The CISO approves; the report is written.",
            (
                run.on_workflow("SatisfyDependency", CISO, dependency=APPROVAL),
                run.start(REPORT, WRITER),
                run.progress(REPORT, WRITER, 55.0, "writing"),
            ),
            seconds=0.9,
            tone="person",
        ),
        Step(
            "The report is out; with its last task the workflow has completed by itself.",
            (run.complete(REPORT, WRITER, report=f"dora-{run.began:%Y}.pdf", pages=38),),
            seconds=1.3,
            tone="good",
        ),
    )
