# The words of the dashboard's frame. What is said of runs, queues and follow-ups is not here but in
# projections/i18n: no message here says how anything stands.

## Frame

frame-skip = Skip to the content
frame-workspace = Workspace
frame-environment = Environment
frame-pages = Pages
frame-theme-dark = Use the dark theme
frame-theme-light = Use the light theme
frame-theme-auto = Use the theme of this device
frame-zone-local = Show times in your own time zone
frame-zone-utc = Show times in UTC
frame-sign-out = Sign out
environment-all = All environments
environment-own = Workspace itself

nav-overview = Overview
nav-follow-ups = Follow-ups
nav-runs = Runs
nav-queues = Queues
nav-operations = Operations
nav-environments = Environments
nav-adapters = Adapters
nav-log = Log

time-ago = { $thing } ago
time-soon = in { $thing }

unit-runs = { $n ->
    [one] run
   *[other] runs
}
list-shown = { $thing } of { $all } shown
unit-operations = { $n ->
    [one] operation
   *[other] operations
}
unit-events = { $n ->
    [one] event
   *[other] events
}
unit-items = { $n ->
    [one] thing to do
   *[other] things to do
}

## The past

as-of-now = Now
as-of-explained = See this page as it was at a moment: what was known then, with the deadlines and the catalog of then.
as-of-label = Time in UTC, or a position of the log
as-of-go = Go there
as-of-earlier = Back by
past-title = The past:
past-explained = Nothing that was recorded later counts here, and nothing can be changed.
past-leave = Back to now
past-before = At this moment nothing had been recorded here: the workspace was made later.
past-before-short = Nothing was here yet

## Live

live-lost = Connection lost. Trying again.
live-ended = Your session has ended. Nothing here is renewed any more.
live-sign-in = Sign in and come back
live-barred = You may not look at this any more, or it is gone. Nothing here is renewed.
live-open-again = Open it again
live-overtaken = This has changed while you were writing. What you wrote is kept. Now:
live-new = { $thing } new
live-new-more = { $thing } or more new
live-changed = { $thing } changed

## Keyboard

keys-title = Keyboard
keys-search = Search
keys-move = Next or previous row
keys-open = Open the row
keys-select = Select the row
keys-resolve = Resolve what is selected
keys-reason = Write the reason
keys-help = This list
keys-close = Close

## Signing in

sign-in-title = Sign in
sign-in-explained = Enter the administrator's token. It is in the data directory of the server, in the file admin-token.
sign-in-code-explained = This link signs this browser in. It works once.
sign-in-open = Open the dashboard
sign-in-token = Administrator's token
sign-in-go = Sign in
sign-in-wrong-token = That is not the administrator's token.
sign-in-code-used = This link was used before, or is older than an hour. Sign in with the token, or start the server again for a new link.
sign-in-needs-encryption = This address is not encrypted, so nobody can sign in here. Put the server behind HTTPS, or open it on the machine itself.
sign-in-name = Name
sign-in-password = Password
sign-in-as-administrator = Sign in as the administrator of the server
sign-in-refused = That did not work. Check the name and the password. After several attempts in a row, wait a few minutes.

## Signing in with a provider of identities

openid-go = Sign in with { $thing }
openid-or = or with a name and a password
openid-not-begun = This sign-in was begun in another browser or at another address, was used before, or took longer than ten minutes. Nobody was signed in. Begin again.
openid-denied = { $thing } did not let you in, or it was cancelled there. Nobody was signed in.
openid-no-answer = { $thing } cannot be reached, or does not answer as it should. Try again in a minute. A password or the administrator's token work as before.
openid-busy = Too many people are signing in at this moment. Try again in a few seconds.
openid-not-believed = The answer of { $thing } could not be verified, so nobody was signed in. Begin again. If it happens again, tell the administrator of this server: its log says why.
openid-slow = After several attempts in a row, wait a few minutes, and begin again.
openid-unknown = { $thing } knows you, but nobody here is that person yet. Ask the administrator of this server to let you in, and tell them who you are there:
openid-disabled = You cannot sign in here at the moment. Ask the administrator of this server.
openid-nameless = { $thing } knows you, but tells no name that you could have here. Ask the administrator of this server to let you in, and tell them who you are there:
openid-name-taken = Somebody here already has the name that { $thing } tells of you. If it is you, sign in with your password, and link the two on the page of your account. Otherwise tell the administrator of this server who you are there:
openid-taken = That did not work: you are linked with somebody else there, or somebody else here is. Ask the administrator of this server.

account-identity = Sign in with { $thing }
account-identity-explained = Say who you are there, and sign in without this password. It goes on working.
account-identity-linked = You sign in there as
account-identity-go = Link
account-identity-go-on = Go on within ten minutes, and sign in there as yourself.
account-provider-away = It cannot be reached at the moment. Try again in a minute.
account-linked-done = Done. From now on you can sign in there as well.

people-ways = Signs in with
people-way-both = Password and provider
people-way-password = Password
people-way-provider = Provider
people-way-none = Nothing

## Your account, and people

account-title = Your account
account-of-server = Administrator of the server
account-administrator = You are signed in with the administrator's token or its link. For daily work, make a person:
account-password = Password
account-password-explained = A new password signs you out in every other browser.
account-password-current = Current password
account-password-new = New password, at least 12 characters
account-password-again = New password, once more
account-password-go = Change the password
account-password-done = You have a new password, and are signed out everywhere else.
account-password-wrong = The current password is another one. After several attempts in a row, wait a few minutes.
account-password-differs = The two new passwords are not the same.
account-password-length = A password has 12 to 256 characters.
account-password-monotonous = A password has at least 5 different characters.
account-sessions-done = Signed out there.
sessions-title = Signed in
sessions-explained = A session ends after 8 hours without use, and after a day.
sessions-none = Signed in nowhere.
sessions-device = Browser
sessions-began = Began
sessions-seen = Last used
sessions-this = this one
sessions-end = Sign out
sessions-end-others = Sign out everywhere else
sessions-end-all = Sign out everywhere
sessions-reason = Reason, for the log
roles-title = What you may do
roles-role = Role
roles-none = You have no role in any workspace yet. Ask an administrator for one.
role-owner = Owner
role-admin = Administrator
role-operator = Operator
role-reporter = Reporter
role-adapter = Adapter
role-auditor = Auditor
role-viewer = Viewer
people-title = People
people-explained = Who signs in to this server. Make somebody on the command line:
people-command = runledger users add
people-none = Nobody yet.
people-name = Name
people-state = State
people-last = Last signed in
people-since = Since
people-never = not yet
people-active = Can sign in
people-disabled = Disabled
people-no-password = Has no password
unit-people = { $n ->
    [one] person
   *[other] people
}

fault-not-found = There is nothing here
fault-busy = Not just now
fault-internal = The server failed
fault-request = This cannot be shown
fault-forbidden = Not with your role
fault-foreign = This request was refused
fault-foreign-detail = It came from another site, or from a page that is out of date. Go back, reload the page and do it again.
fault-signed-out = Signed out
fault-signed-out-detail = Please sign in again.
fault-home = To the overview
fault-workspace = Overview of { $thing }
fault-about = It is about:
fault-unknown-workspace = There is no workspace of this name, or you have no role in it.
fault-unknown-environment = There is no such environment: nothing has run in one of this name. Look at those that there are.
fault-unknown-queue = There is no such queue: no run and no worker has named it. Look at those that there are.
fault-unknown-run = No such run is known here. It may be one of another workspace, or nothing of it has been reported yet. Look for it in the list.
fault-unknown-view = No view of this name is saved here. Somebody may have removed it.
fault-unknown-person = Nobody of this name is known on this server.
fault-ambiguous-run = More than one run fits what was given of its id. Please give more of it, or open the run and go on from there.
fault-run-out-of-reach = No run among the newest has this in its id, and the older ones were not looked through. Give the last 12 digits of the id, as pages show them, or the whole of it.
fault-no-such-route = There is no page at this address. Please check it, or go on from here.
fault-no-such-form = What this address takes is a form of one of the pages. Go back to the page and send it from there.
fault-forbidden-detail = Your role, or its being held to some environments, does not allow this. An administrator of the workspace can give you another one.
fault-invalid-query = Something in this address is not what the page takes. Leave it out, or begin again from the page itself.
fault-future = That moment has not come yet. Please choose an earlier one.
fault-invalid-cursor = The place in the list that this address names is none any more. Begin the list again.
fault-preparing = What is asked for is being put together. Please reload the page in a few seconds.
fault-too-many-views = No more views can be saved here. Remove one first.
fault-view-of-another = Somebody else saved the view of this name. Save yours under another name, or ask them, or whoever administers the workspace, to remove it.
fault-invalid-body = What was sent cannot be taken as it is. Go back, check it and send it again.
fault-no-adapter = No adapter handles this operation, so there is nobody to ask.
fault-adapter-idle = The adapter is not set up, so it cannot be asked. Whoever runs this server can set it up.
fault-halted = The log takes no more events: it is not what was signed. Whoever runs this server must look at it first.
fault-too-fast = Too many requests in too short a time. Please wait a moment, then reload the page.
fault-archived = What this needs lies in an archive that the server cannot read now. Whoever runs this server can restore it.
fault-conflict = This does not go with what is recorded by now. Go back and look at it again.
fault-busy-detail = The server or its database is too busy, or cannot be reached. Please reload the page in a moment.
fault-internal-detail = It is not your doing. The log of the server says why; please tell whoever runs it.

## A parameter of an address that cannot be taken

parameter-wrong = The parameter { $thing } cannot be “{ $all }” here.
parameter-missing = The parameter { $thing } is missing.
parameter-unknown = This page has no parameter { $thing }.
parameter-twice = The parameter { $thing } is given more than once.
parameter-once = Give it once.
parameter-known = It has: { $thing }.
parameter-words = It can be: { $thing }.
parameter-moment = It takes a time, such as 2026-11-21T14:30:00Z.
parameter-as-of = It takes a time, such as 2026-11-21T14:30:00Z, or a position of the log, such as 1200.
parameter-number = It takes a whole number.
parameter-number-to = It takes a whole number from 1 to { $thing }.
parameter-after = It must be later than { $thing }.
parameter-subject = It takes a kind and an id with a slash between them, such as tenant/7.
parameter-text = It takes a short text on one line.

## Overview

needs-oldest = oldest
follow-ups-all = All follow-ups
sort-title = In the order:
sort-newest = newest first
sort-oldest = oldest first
active-title = Active now
active-due = due
active-all = All of them
quiet-title = Why it is quiet
quiet-explained = What has left the list since
quiet-older = dispatched before
quiet-newer = dispatched since
chart-title = The last 24 hours, as recorded
chart-capped = only those since
chart-since = dispatched since
chart-order = From the bottom:
chart-most = at most, in half an hour,
chart-table = Numbers as a table
chart-brush = Drag over the bars, or hold Shift and press the arrow keys and then Enter, for the runs of that time.
queues-none = No run and no worker has named a queue yet.
queue-waiting = Runs waiting
queue-oldest = Oldest wait
queue-workers = Workers
operations-all = All operations, with their policy
operations-all-link = All operations
health-title = The ledger itself
health-events = Events
health-last = Last position
health-lag = Behind by
health-parked = Does not go on
health-parked-why = The pages stop at an event that cannot be taken in, and show the state before it. The log of the server says why; please tell whoever runs it.

col-from = From
col-operation = Operation
col-last-ten = Last ten
col-active = Active runs
col-open-runs = Open runs
col-open-items = Things to do
col-oldest = Oldest
col-runs = Runs
col-run = Run
col-environment = Environment
col-recorded = Recorded
col-now = Now
col-then = Then
col-dispatched = Dispatched
col-proof = Left the list because
col-position = Position
col-what = What
col-when = When
col-after = After
col-occurred = Happened
col-recorded-at = Recorded
col-source = Reported by
col-hash = Hash
col-took = Took (p50 / p95)
col-took-of = of the last that reported their end
col-windows = Windows (queue / run)
col-adapter = Adapter

## Runs

facets-title = Narrow the list
facets-more = { $thing } more
facets-uncounted = not counted
facets-beyond = How many runs each choice leaves is not counted where the list is narrowed by text, subject, queue, time or time limit.
facets-beyond-rest = { $thing } more still: name one in the fields below.
list-capped = { $thing } were asked for, and a page shows { $all } at most.
list-capped-on = The rest is on the next pages.
facet-fields = More filters
field-subject = Subject (type/id)
field-connection = Connection
connection-none = none
field-since = Dispatched since (UTC)
field-until = Dispatched before (UTC)
first-event = Nothing has been reported here yet. This reports a first event:
first-event-token = TOKEN is one that may report in this workspace, RUNLEDGER_URL the address of this server. docs/job-systems.md shows how job systems report.
choice-any = Any
facet-now = Now
facet-status = Recorded status
facet-outcome = Recorded outcome
facet-freshness = Time limit
facet-family = Family
facet-operation = Operation
runs-search = Search runs
runs-filtered = What fits, the newest first
runs-from-beginning = from the beginning
runs-remove = Remove
runs-clear = Remove all
runs-none = No run fits. Remove a filter to see more.
runs-scanned = The list goes on. It was looked through as far as
runs-older = Older
runs-newer = Newer
runs-at-least = at least { $thing }
runs-end = That is all.
saved-title = Saved views
saved-name = Name of this view
saved-save = Save
saved-forget = Remove this view
saved-of = { $thing } saved this view. What you say here is kept in the log.
workspaces-all = All workspaces
workspaces-by = By workspace
workspaces-late = in 24 hours
workspaces-together = Together
workspaces-not-there = This workspace was made later.
workspaces-not-asked = Open it to see it as it was.
workspaces-too-many = Open it to see what there is.
workspaces-preparing = Its past is being put together. Reload the page in a few seconds.
workspaces-untold = without { $thing }
unit-workspaces = { $n ->
    [one] workspace
   *[other] workspaces
}
word-left = What you see here is left.
word-more = There are more, which were not counted.
word-rounds = At most { $thing } are done at a time. Then you see what is left, and go on.

## Run

run-truths = What is recorded, and what is true now
run-truths-then = What was recorded, and what was true then
run-late = Late report:
run-late-recorded = recorded
run-immutable = Nothing changes what is recorded.
run-proof = Proof:
run-as-of = As of
run-next-change = changes by itself
run-life = Its life, to scale
run-life-table = What was recorded, as a table
run-life-true = What was true of it, and what changed that
run-life-more = { $thing } more events are not drawn.
timeline-passed = A deadline passed
timeline-still = until now
timeline-still-then = until that moment
col-true = True
col-lasted = For
col-changed-by = Because of
timeline-deadline = Deadline
run-why = Why
why-actionability = Follow-up
why-freshness = Time limit
why-queue = Queue
why-adapter = Found by an adapter
why-person = A person's word
why-last-sign = Last sign of life
why-deadline = Deadline
run-since = since
why-rule = Rule
why-settled = Settled
why-policy = Policy
why-catalog = Catalog version { $thing }
why-next = Next change
why-next-never = Time alone does not change this.
why-window = Window
why-blind = in which the log could not listen
why-abandon = Waited for after that
run-evidence = Evidence
run-actions = What you can do
run-actions-then = What could be done then
run-actions-past = These are the answers of
run-dry = Show what the adapter would decide
preview-would = Would be recorded:
preview-nothing = Nothing would be recorded.
run-scope = The same work before and after
run-scope-explained = The same operation on the same subject in the same environment, the oldest on the left.
run-facts = Facts
run-raw = Recorded events
run-raw-last = The last { $thing } are shown here.
run-raw-all = All of them are in the log.
run-not-yet = Nothing of this run had been recorded at
run-not-yet-now = The run as it is now
fact-started = Started
fact-queue = Queue
fact-worker = Worker
fact-fingerprint = Fingerprint
fact-initiator = Asked for by
fact-attempt = Attempt
fact-retry-of = Tries again
fact-parent = Part of
fact-related = Related
fact-artifact = Made

event-run-dispatched = Dispatched
event-run-started = Started
event-run-heartbeat = Sign of life
event-run-succeeded = Reported success
event-run-failed = Reported a problem
event-run-cancelled = Reported as stopped
event-run-ended = Reported as ended
event-run-reconciled = An adapter decided
event-run-late-signal = Late report
event-run-follow-up-resolved = Resolved by a person
event-run-follow-up-reopened = Reopened by a person
event-subject-observed = Subject seen
event-worker-seen = Worker seen
event-worker-stopped = Worker gone
event-workspace-created = Workspace made
event-workspace-ledger-blind = The ledger could not listen
event-catalog-published = Catalog in force
event-erasure-requested = Erasure asked for
event-erasure-approved = Erasure approved
event-erasure-executed = Erasure carried out
event-erasure-completed = Erasure completed
event-erased = erased
event-archive-ordered = Archive ordered
event-archive-dropped = Bodies archived
event-archive-restored = Archived bodies put back
event-archived = archived
run-archived = Something that was recorded of this run is in an archive that the server cannot read. Its life is not drawn here; the recorded events below say where the archive was put.
event-token-created = Token made
event-token-revoked = Token revoked
event-member-granted = Role given
event-member-removed = Role taken away
event-person-changed = Person changed
event-audit-pack-read = Audit pack read
event-key-rotated = Signing keys replaced
event-view-removed = Saved view removed
event-checkpoint-accepted = Checkpoint accepted
event-checkpoint-timestamped = Checkpoint timestamped
event-other = Event

## A person's word

follow-ups-open = Open
left-none = Nothing left the list this way.
left-explained = What left the list, and the proof of it.
left-of-late = Left the list
left-at = Left the list
item-first = first
item-last = last
item-once = settled
last-heard = last heard of
word-mark = Select
word-reason = Reason, in a word
word-note = Note
word-resolve-marked = Resolve the selected
word-resolve-all = Resolve all that fit
word-reopen-marked = Reopen the selected
word-reopen-all = Reopen all that fit
action-not-yours = Your role shows it and does not do it.
word-preview-first = You see how many runs it is before anything is recorded.
word-said = Recorded for
word-changed = It is no longer what you were shown. Look again. Then it was
word-not-taken = Nothing was recorded.
word-nothing = Nothing fits any more.
word-none-marked = Nothing is selected, so nothing is done. Select something in the list first.
word-of-marked = What you selected.
word-of-all = Everything that fits the filters of the list, on all of its pages.
word-cancel = Cancel
word-back = Back to the list
word-kept = You had to sign in again. What you had written is kept:
word-reason-wrong = Please give a reason in a word or a few: up to 200 characters, without line breaks.
word-note-wrong = This note is too long or holds characters that cannot be kept: up to 2,000 characters, please.
word-undo = Your word is recorded beside what happened and changes nothing of it. It can be taken back.

## Other pages

queues-explained = Whether anything picks up what waits. A queue spans environments.
queue-picked-up = Will it be picked up?
queue-last-start = Last start
queue-left = It left its queue
queue-never-left = It ended without having left its queue.
queue-waited = Waited
queue-today = as it is now
operations-coverage = Types of the catalog that ran:
operations-unclassified = Not in the catalog:
environments-none = No run has named an environment yet.
environments-explained = Of each family: open runs / runs.
adapters-explained = Adapters look where the work is and prove how runs ended. They write nothing themselves.
chip-text = Search
chip-left-since = Left the list since (UTC)
chip-limit = At most
adapters-past = How they answered is known of now alone, so it is not shown here.
adapter-no-domain = No database of the domain is configured. Name one to have these runs judged.
adapter-reads-restores = restore_runs of the database of the domain
adapter-reads-reviews = environment_reviews of the database of the domain
adapter-reads-query = a query of the database of the domain
adapter-reads-http = a service over HTTP
adapter-reads-own = what a program of its own reads
adapter-error-unavailable = Its source could not be reached.
adapter-error-timeout = Its source did not answer soon enough.
adapter-error-refused = Its source did not let it read.
adapter-error-malformed = What its source answered could not be read.
adapter-error-broken = It stopped on an error of its own.
adapter-error-subject = It saw a subject, and the run has none.
adapter-error-run = It does not know of this run.
adapter-error-idle = It is not set up.
adapter-error-remote = It is a program of its own: it claims its runs, and says what it found.
adapter-error-decision = What it decided may not be recorded as it is.
adapter-error-other = It gave no answer.
reason-timeout = It took too long
reason-cancelled = It was stopped
reason-unreachable = Something it needs could not be reached
reason-rate-limited = Too many requests were made
reason-permission = It was not allowed to
reason-not-found = Something it needs is not there
reason-memory = The memory ran out
reason-disk = The disk was full
reason-input = What it was given cannot be used
reason-error = An error of its program
reason-conflict = Something else got in the way
adapter-code-abandoned = Nothing was heard of it for so long that it is no longer waited for.
adapter-code-not-due = It is still waited for.
adapter-code-nothing-found = Nothing was found for this run.
adapter-code-several-found = More than one thing was found, and none is preferred.
adapter-code-source-did-not-answer = The source gave no answer.
adapter-code-value-without-a-meaning = The source gave a value that has no meaning here.
adapter-code-ambiguous-restore = More than one restore fits this run.
adapter-code-no-restore-found = There is no restore for this run.
adapter-code-restore-aborted = The restore was aborted.
adapter-code-restore-completed = The restore is complete.
adapter-code-restore-completed-with-errors = The restore is complete, with errors.
adapter-code-restore-failed = The restore ended with an error.
adapter-code-restore-is-executing = The restore is still going on.
adapter-code-restore-is-previewed = The restore has only been previewed.
adapter-code-unknown-restore-status = The restore has a status that is not known here.
adapter-code-ambiguous-lineage = More than one review fits this run.
adapter-code-archived = The review has been put into the archive.
adapter-code-no-ready-successor = The review was replaced, and what replaced it is not ready.
adapter-code-no-review-found = There is no review for this run.
adapter-code-review-failed = The review ended with an error.
adapter-code-review-is-a-draft = The review is still a draft.
adapter-code-review-ready = The review is ready.
adapter-code-superseded-by-ready-review = Another review has replaced it, and is ready.
adapter-code-unknown-review-status = The review has a status that is not known here.
adapter-every = every operation
adapter-reads = Reads
adapter-last = Last answer
adapter-failures = Failures
adapter-backlog = To do
log-explained = in the order in which they were recorded. Nothing changes or removes one.
log-newest = the newest
log-none = Nothing is recorded yet.
log-none-fits = No event fits what is asked for.
log-beyond = The log does not go as far as position { $thing }. These are its newest events.
log-narrow = Narrow the log
log-type = Type
log-type-any = Every type
log-run = Run (id, or a part of it)
log-actor = Actor
log-source = Reported by
log-since = Recorded since (UTC)
log-until = Recorded before (UTC)
log-go = Show
log-looked = Looked through back to position { $thing }.
log-pause = Pause
log-resume = Go on
log-paused = Paused. New events wait.
signed-title = Signatures
signed-size = Signed events
signed-at = Last signed
signed-witnesses = Witnesses
signed-no-witness = none
