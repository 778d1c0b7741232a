"""Kill your own job at many points, start it again, and see whether the result is the same: `waycairn crashtest`.

from waycairn.crashtest import crashtest

def test_my_job_survives():
    crashtest(["python", "job.py"], points=10).check()
"""

from waycairn.crashtest.campaign import crashtest
from waycairn.crashtest.difference import Difference
from waycairn.crashtest.report import Report
from waycairn.crashtest.settings import Settings
from waycairn.crashtest.trial import Trial

__all__ = ["Difference", "Report", "Settings", "Trial", "crashtest"]
