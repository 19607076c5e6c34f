"""Reports of runs and incidents. Importing it reads pandas and matplotlib, which takes a second or two."""

from dlq.incident_report.assessed import assessment_markdown, assessment_summary
from dlq.incident_report.brief import brief
from dlq.incident_report.incident import IncidentReport
from dlq.incident_report.markdown import markdown
from dlq.incident_report.page import page, write

__all__ = ["IncidentReport", "assessment_markdown", "assessment_summary", "brief", "markdown", "page", "write"]
