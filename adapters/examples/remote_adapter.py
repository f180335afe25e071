#!/usr/bin/env python3
"""A remote adapter of Runledger: proves from the reports in a directory what became of runs.

It needs Python 3.9 or later, and nothing else. docs/remote-adapters.md explains it.

    RUNLEDGER_TOKEN=... python3 remote_adapter.py --url http://127.0.0.1:7300 --reports /srv/reports

A finished report is the file REPORTS/WORKSPACE/ENVIRONMENT/FINGERPRINT.json; the environment of a
run that belongs to the workspace itself is `_workspace`. It holds an object such as

    {"id": "77", "state": "done", "pages": 12, "sha256": "...", "finished_at": "2026-01-01T00:00:00Z"}
"""

import argparse
import http.client
import json
import os
import random
import signal
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

ADAPTER = "report.files"
LEASE_SECONDS = 60
AT_ONCE = 10
LONGEST_WAIT = 60.0


class SourceError(Exception):
    """The source gave no answer. Then nothing is decided."""


class Refused(Exception):
    """The ledger did not do what it was asked: an HTTP status, and a stable code."""

    def __init__(self, status, code, detail):
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code


# --- gather: what the source says of one run, from the run's own scope and nowhere else


def place(reports, claim):
    """Where the report of this run would be; None if the run does not name one."""
    fingerprint = claim["recorded"].get("fingerprint")
    if fingerprint is None:
        return None
    scope = claim["scope"]
    parts = [scope["workspace"], scope.get("environment", "_workspace"), fingerprint + ".json"]
    # Names come from others: each is one piece of a path, and none leads out of the directory.
    parts = [urllib.parse.quote(part, safe="") for part in parts]
    if any(part in (".", "..") for part in parts):
        return None
    return os.path.join(reports, *parts)


def gather(reports, claim):
    """The report of this run; None if there is none."""
    path = place(reports, claim)
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    except FileNotFoundError:
        # Only a directory that is there can say that a report is not.
        if not os.path.isdir(reports):
            raise SourceError("the directory of reports is not there") from None
        return None
    except (OSError, ValueError) as error:
        raise SourceError("a report cannot be read") from error
    if not isinstance(report, dict):
        raise SourceError("a report is not an object")
    return report


# --- decide: what that proves. No clock, no network, no file: the same in gives the same out


def decide(claim, report):
    """The decision on this run."""
    if report is None:
        return still_open(claim, "no_report_found")
    state = report.get("state")
    evidence = {key: report[key] for key in ("pages", "sha256", "finished_at") if key in report}
    if state == "done" and "id" in report and "finished_at" in report:
        decision = {
            "decision": "succeeded",
            "reason_code": "report_is_there",
            "related": {"type": "permission_report", "id": str(report["id"])},
            "evidence": {"state": state, **evidence},
        }
        if "subject" in claim["recorded"]:
            decision["observation"] = {"state": "healthy", "verified_at": report["finished_at"]}
        return decision
    if state == "failed":
        evidence = {"state": state}
        return {"decision": "failed", "reason_code": "report_failed", "evidence": evidence}
    if state == "writing":
        return still_open(claim, "report_is_being_written")
    # What is not understood is not guessed at.
    return {"decision": "needs_attention", "reason_code": "report_not_understood"}


def still_open(claim, reason):
    """Nothing is proven: that needs a person only once the run is past its window."""
    return {"decision": "needs_attention" if claim["stale"] else "no_change", "reason_code": reason}


# --- the protocol


class Ledger:
    """The three calls of the remote protocol."""

    def __init__(self, url, token, workspace):
        path = "/v1/workspaces/{}/adapters/{}/claims"
        names = [urllib.parse.quote(name, safe="") for name in (workspace, ADAPTER)]
        self.claims = url.rstrip("/") + path.format(*names)
        self.token = token

    def claim(self):
        wanted = {"limit": AT_ONCE, "lease_seconds": LEASE_SECONDS}
        return self.post(self.claims, wanted)["items"]

    def heartbeat(self, claim):
        wanted = {"lease_seconds": LEASE_SECONDS}
        self.post(f"{self.claims}/{claim['claim_id']}/heartbeat", wanted)

    def decision(self, claim, decision):
        return self.post(f"{self.claims}/{claim['claim_id']}/decision", decision)

    def post(self, url, body):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode("utf-8")
        request = urllib.request.Request(url, data=data, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, *problem(error)) from None


def problem(answer):
    """The code and the detail of a problem document."""
    try:
        found = json.load(answer)
        return found["code"], found["detail"]
    except (ValueError, KeyError, TypeError):
        return "unknown", "the answer is no problem document"


def judge(ledger, reports, claim):
    """Judges one run. What goes wrong with it leaves it to be claimed again after its lease."""
    run = claim["run_id"]
    try:
        # The runs before it may have taken most of its lease.
        ledger.heartbeat(claim)
        found = decide(claim, gather(reports, claim))
        result = ledger.decision(claim, found)
        say(f"{run}: {found['decision']} ({found['reason_code']}): {result['status']}")
    except SourceError as error:
        say(f"{run}: not judged: {error}")
    except Refused as error:
        # run_moved, claim_expired and unknown_claim come with the work: it is claimed again. A
        # refusal with 422 is a mistake in this program or its configuration.
        if error.status not in (404, 409, 422):
            raise
        say(f"{run}: {error}")


def work(ledger, reports, poll, stop):
    """Claims and judges until it is told to stop; what it has claimed by then is judged."""
    failures = 0
    while not stop.is_set():
        try:
            claims = ledger.claim()
            for claim in claims:
                judge(ledger, reports, claim)
            failures = 0
            wait = 0 if claims else poll
        except (Refused, OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, Refused) and error.status < 500:
                raise
            failures += 1
            # Longer and longer, and never all at once.
            wait = min(LONGEST_WAIT, 2.0 ** min(failures, 6)) * random.uniform(0.5, 1.0)
            say(f"no answer from {ledger.claims} ({error}); waiting {wait:.0f} s")
        stop.wait(wait)


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    url = os.environ.get("RUNLEDGER_URL", "http://127.0.0.1:7300")
    workspace = os.environ.get("RUNLEDGER_WORKSPACE", "main")
    parser.add_argument("--url", default=url, help="where the ledger answers [%(default)s]")
    parser.add_argument("--workspace", default=workspace, help="the workspace [%(default)s]")
    parser.add_argument("--reports", required=True, help="the directory of finished reports")
    parser.add_argument("--poll", type=float, default=5.0, help="seconds between empty answers")
    options = parser.parse_args()
    token = os.environ.get("RUNLEDGER_TOKEN")
    if not token:
        parser.error("set RUNLEDGER_TOKEN: a server keeps one as admin-token in its data directory")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        work(Ledger(options.url, token, options.workspace), options.reports, options.poll, stop)
    except Refused as error:
        say(f"the ledger refuses: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
