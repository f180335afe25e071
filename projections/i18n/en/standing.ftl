# What people read about a run. Texts say what is true and what to do next; they never show what a
# source sent, and no text of a run that is late may sound calm.

## Guidance: one sentence or two for each key.

guidance-waiting-for-worker = Waiting for a worker. Its queue is moving, so it should start soon.
guidance-waiting-unverified = Waiting to start. Whether a worker will pick it up is not known.
guidance-waiting-behind-backlog = Waiting behind a backlog. Runs in this queue do start, but later than they should.
guidance-queue-stalled = Waiting in a queue that stands still: a run in it is overdue, and none has started since. Check the workers of this queue.
guidance-no-worker-seen = Waiting, but no worker serves this queue now. Start a worker for it.
guidance-queued-past-window = Has waited longer than it should. Check whether it will still be picked up.
guidance-running = Running, and reporting progress.
guidance-running-no-progress-yet = Running. It has not reported any progress yet.
guidance-running-past-window = Silent for longer than it should be. It may have died without a word: check it where it was started.
guidance-active-unverified = Has not ended, as far as is known. No time limit is known for it, so nothing tells whether it is overdue.
guidance-needs-action = Ended with a problem that nothing has made good since. A person needs to act.
guidance-needs-review = A person needs to look at how this ended.
guidance-superseded = A later run has done the same work. Nothing is left to do here.
guidance-resolved-by-state = What became known since shows that nothing is left to do here.
guidance-resolved-by-operator = A person has closed this. Nothing is left to do here.
guidance-succeeded = Succeeded.
guidance-reconciled-succeeded = Succeeded. The run itself did not say so, but its result is there.
guidance-cancelled = Cancelled. Nothing is left to do here.
guidance-for-information = Ended with a problem. Runs of this kind are for information only, so nothing is left to do here.

## How loud guidance is.

severity-calm = As it should be
severity-notice = Worth knowing
severity-warning = Warning
severity-attention = Needs attention
severity-done = Done

## Recorded truth.

status-queued = Queued
status-running = Running
status-completed = Completed

outcome-pending = Not ended
outcome-succeeded = Succeeded
outcome-partially-succeeded = Partially succeeded
outcome-blocked = Blocked
outcome-failed = Failed
outcome-cancelled = Cancelled
outcome-unknown = Ended, outcome unknown

## Current truth.

freshness-unknown = No time limit known
freshness-fresh-queued = Waiting, in time
freshness-stale-queued = Waiting, overdue
freshness-fresh-running = Running, in time
freshness-stale-running = Silent, overdue
freshness-reconciled-terminal = Ended, found by an adapter
freshness-terminal = Ended

queue-empty = Empty
queue-no-worker = No worker
queue-stalled = Standing still
queue-slow = Slow
queue-moving = Moving
queue-unknown = Unknown

actionability-not-terminal = Not ended
actionability-informational-only = For information
actionability-resolved-by-operator = Closed by a person
actionability-requires-manual-review = Needs review
actionability-resolved-by-current-state = Made good
actionability-superseded-by-later-success = Superseded
actionability-actionable = Needs action

reason-no-problem = There was no problem.
reason-informational-family = Problems of this kind are for information only.
reason-high-risk = A high-risk change is closed by a person and by nothing else.
reason-late-success = Its success was reported late.
reason-late-cancellation = Its cancellation was reported late.
reason-reconciliation-proof = An adapter has proved that the work is done.
reason-later-success = A run that was dispatched later succeeded.
reason-healthy-subject = What it acted on has been seen healthy since.
reason-contradicted = Reports disagree about how it ended.
reason-insufficient-correlation = It does not name what it acted on, so no later success can be matched to it.
reason-unclassified-operation = Nobody has classified its operation, so nothing can speak for it.
reason-problem = It ended with a problem, and nothing has made it good since.

## Progress.

progress-determinate = { $done } of { $total }
progress-total = { $total } in all
progress-part = { $part }: { $done } of { $total }
progress-last-reported = Last reported: { $progress }

## What a person may do.

action-resolve = Resolve
action-reopen = Reopen
action-ask-adapter = Ask the adapter
action-retry-elsewhere = Run again at its source

action-reason-needs-person = It waits for a person to say that nothing is left to do.
action-reason-resolved-by-person = A person closed it and may think again.
action-reason-may-prove-end = The adapter may find out how it ended.
action-reason-may-prove-success = The adapter may find that the work is done after all.
action-reason-may-succeed = Run it again in the system that it came from. It may succeed now.
action-reason-not-terminal = It has not ended.
action-reason-nothing-to-do = There is nothing to do about it.
action-reason-made-good = It has been made good already.
action-reason-already-resolved = A person has closed it already.
action-reason-not-resolved = Nobody has closed it.
action-reason-no-adapter = Its operation has no adapter.
action-reason-nothing-to-prove = Proof would add nothing to what is recorded.
action-reason-review-first = A person needs to look at it before it is run again.
action-reason-not-retryable = Its source says that running it again does not help.

## What a family says of the problems of its runs.

policy-informational = Problems are for information only.
policy-manual = A person closes every problem, and nothing else does.
policy-no-success = No later success makes a problem good.
policy-success-of-scope = A later success in the same environment, on the same subject if there is one, makes a problem good.
policy-success-of-subject = A later success on the same subject makes a problem good.
policy-success-of-fingerprint = A later success of the same work makes a problem good.
policy-healthy-subject = Its subject, seen healthy since, makes a problem good.

## Headings, and phrases beside a fact.

group-needs-person = Needs a person
group-needs-nobody = Needs nobody now
group-active-runs = Active runs
group-made-good = Problems that need nobody any more
group-queues = Queues
active-in-time = In time
active-overdue = Overdue
active-no-time-limit = No time limit known for them
recorded-inferred = inferred from a signal
late-agrees = agrees
late-disagrees = disagrees
deadline-to-come = deadline
deadline-passed = deadline was
proof-late-signal = a late signal of the run itself
nothing-to-do = Nothing is left to do.
nobody-needed = Nothing needs a person here.
none-overdue = No active run is past its window.
still-open = Still open
proof-run = a later run
proof-observation = seen healthy
proof-adapter = an adapter,
proof-operator = closed by
adapter-idle = judges nothing here
adapter-failing = its source fails
adapter-refused = its decisions are refused
adapter-not-asked = not asked yet
adapter-answers = answers
becomes-given-up = Given up: it ends, and how is not known
decision-needs-attention = A person should look
decision-no-change = Nothing to say
log-signed = Matches what was signed
log-unsigned = Not signed yet
log-behind = Signing is behind
log-halted = Is not what was signed, and takes no more events

## Whether a queue is picked up from, and why.

queue-reason-nothing-waits = Nothing waits here.
queue-reason-no-live-worker = No, as it is now: every worker that served this queue has gone.
queue-reason-no-start-since-deadline = Probably not: a run here is overdue, and none has started since.
queue-reason-past-deadline = Yes, but late: a run here is overdue, while others do start.
queue-reason-live-worker = Yes: a worker serves this queue.
queue-reason-recent-start = Probably: a run of this queue started not long ago.
queue-reason-nothing-known = Nobody can tell: no worker has named this queue, and nothing has started of late.

## The hint of active work. It speaks of runs that have not ended, and of nothing else.

activity-nothing = Nothing is active
activity-in-time = { $active } active, all in time
activity-unverified = { $active } active, { $unknown } without a time limit
activity-overdue = { $stale } of { $active } active overdue
