# Was Menschen über einen Lauf lesen. Dieselben Schlüssel wie im Englischen.

## Hinweis: ein oder zwei Sätze je Schlüssel.

guidance-waiting-for-worker = Wartet auf einen Worker. Die Warteschlange bewegt sich, der Start sollte bald folgen.
guidance-waiting-unverified = Wartet auf den Start. Ob ein Worker den Lauf übernimmt, ist nicht bekannt.
guidance-waiting-behind-backlog = Wartet hinter einem Rückstau. In dieser Warteschlange starten Läufe, aber später als vorgesehen.
guidance-queue-stalled = Wartet in einer Warteschlange, die stillsteht: Ein Lauf darin ist überfällig, und seitdem ist keiner gestartet. Bitte die Worker dieser Warteschlange prüfen.
guidance-no-worker-seen = Wartet, aber zurzeit bedient kein Worker diese Warteschlange. Bitte einen Worker dafür starten.
guidance-queued-past-window = Wartet länger als vorgesehen. Bitte prüfen, ob der Lauf noch übernommen wird.
guidance-running = Läuft und meldet Fortschritt.
guidance-running-no-progress-yet = Läuft. Fortschritt hat der Lauf noch nicht gemeldet.
guidance-running-past-window = Schweigt länger als vorgesehen und ist vielleicht ohne Meldung abgestürzt. Bitte dort prüfen, wo der Lauf gestartet wurde.
guidance-active-unverified = Nach allem, was bekannt ist, noch nicht beendet. Eine Frist ist nicht bekannt; ob der Lauf überfällig ist, lässt sich nicht sagen.
guidance-needs-action = Mit einem Problem beendet, das seither nichts behoben hat. Jemand muss handeln.
guidance-needs-review = Jemand muss sich ansehen, wie dieser Lauf geendet hat.
guidance-superseded = Ein späterer Lauf hat dieselbe Arbeit erledigt. Hier ist nichts mehr zu tun.
guidance-resolved-by-state = Was seither bekannt wurde, zeigt: Hier ist nichts mehr zu tun.
guidance-resolved-by-operator = Eine Person hat das abgeschlossen. Hier ist nichts mehr zu tun.
guidance-succeeded = Erfolgreich.
guidance-reconciled-succeeded = Erfolgreich. Der Lauf selbst hat es nicht gemeldet, aber sein Ergebnis liegt vor.
guidance-cancelled = Abgebrochen. Hier ist nichts mehr zu tun.
guidance-for-information = Mit einem Problem beendet. Läufe dieser Art dienen nur zur Information, hier ist nichts zu tun.

## Wie laut ein Hinweis ist.

severity-calm = Wie vorgesehen
severity-notice = Wissenswert
severity-warning = Warnung
severity-attention = Handlungsbedarf
severity-done = Erledigt

## Aufgezeichnete Wahrheit.

status-queued = Wartet
status-running = Läuft
status-completed = Beendet

outcome-pending = Nicht beendet
outcome-succeeded = Erfolgreich
outcome-partially-succeeded = Teilweise erfolgreich
outcome-blocked = Blockiert
outcome-failed = Fehlgeschlagen
outcome-cancelled = Abgebrochen
outcome-unknown = Beendet, Ergebnis unbekannt

## Gegenwärtige Wahrheit.

freshness-unknown = Keine Frist bekannt
freshness-fresh-queued = Wartet, in der Frist
freshness-stale-queued = Wartet, überfällig
freshness-fresh-running = Läuft, in der Frist
freshness-stale-running = Schweigt, überfällig
freshness-reconciled-terminal = Beendet, von einem Adapter festgestellt
freshness-terminal = Beendet

queue-empty = Leer
queue-no-worker = Kein Worker
queue-stalled = Steht still
queue-slow = Langsam
queue-moving = Bewegt sich
queue-unknown = Unbekannt

actionability-not-terminal = Nicht beendet
actionability-informational-only = Zur Information
actionability-resolved-by-operator = Von einer Person abgeschlossen
actionability-requires-manual-review = Zu prüfen
actionability-resolved-by-current-state = Behoben
actionability-superseded-by-later-success = Überholt
actionability-actionable = Zu erledigen

reason-no-problem = Es gab kein Problem.
reason-informational-family = Probleme dieser Art dienen nur zur Information.
reason-high-risk = Eine Änderung mit hohem Risiko schließt nur eine Person ab.
reason-late-success = Der Erfolg wurde verspätet gemeldet.
reason-late-cancellation = Der Abbruch wurde verspätet gemeldet.
reason-reconciliation-proof = Ein Adapter hat nachgewiesen, dass die Arbeit getan ist.
reason-later-success = Ein später beauftragter Lauf war erfolgreich.
reason-healthy-subject = Der Gegenstand des Laufs wurde seither in gutem Zustand gesehen.
reason-contradicted = Die Meldungen widersprechen sich darüber, wie der Lauf geendet hat.
reason-insufficient-correlation = Der Lauf nennt nicht, worauf er sich bezieht; daher lässt sich ihm kein späterer Erfolg zuordnen.
reason-unclassified-operation = Diese Art von Vorgang ist nicht eingeordnet; daher kann nichts für den Lauf sprechen.
reason-problem = Der Lauf endete mit einem Problem, das seither nichts behoben hat.

## Fortschritt.

progress-determinate = { $done } von { $total }
progress-total = insgesamt { $total }
progress-part = { $part }: { $done } von { $total }
progress-last-reported = Zuletzt gemeldet: { $progress }

## Was eine Person tun kann.

action-resolve = Abschließen
action-reopen = Wieder öffnen
action-ask-adapter = Adapter fragen
action-retry-elsewhere = An der Quelle wiederholen

action-reason-needs-person = Jemand muss bestätigen, dass nichts mehr zu tun ist.
action-reason-resolved-by-person = Eine Person hat es abgeschlossen und kann das zurücknehmen.
action-reason-may-prove-end = Der Adapter kann vielleicht feststellen, wie der Lauf geendet hat.
action-reason-may-prove-success = Der Adapter kann vielleicht feststellen, dass die Arbeit doch getan ist.
action-reason-may-succeed = Im Ursprungssystem noch einmal ausführen. Es kann jetzt gelingen.
action-reason-not-terminal = Der Lauf ist nicht beendet.
action-reason-nothing-to-do = Hier ist nichts zu tun.
action-reason-made-good = Es ist bereits behoben.
action-reason-already-resolved = Eine Person hat es bereits abgeschlossen.
action-reason-not-resolved = Niemand hat es abgeschlossen.
action-reason-no-adapter = Für diese Art von Vorgang gibt es keinen Adapter.
action-reason-nothing-to-prove = Ein Nachweis würde dem Aufgezeichneten nichts hinzufügen.
action-reason-review-first = Vor einer Wiederholung muss sich das jemand ansehen.
action-reason-not-retryable = Laut der Quelle hilft eine Wiederholung nicht.

## Was eine Familie zu den Problemen ihrer Läufe sagt.

policy-informational = Probleme dienen nur zur Information.
policy-manual = Jedes Problem schließt eine Person ab und sonst nichts.
policy-no-success = Kein späterer Erfolg behebt ein Problem.
policy-success-of-scope = Ein späterer Erfolg in derselben Umgebung, am selben Gegenstand, falls es einen gibt, behebt ein Problem.
policy-success-of-subject = Ein späterer Erfolg am selben Gegenstand behebt ein Problem.
policy-success-of-fingerprint = Ein späterer Erfolg derselben Arbeit behebt ein Problem.
policy-healthy-subject = Wird der Gegenstand seither in gutem Zustand gesehen, ist ein Problem behoben.

## Überschriften, und Worte neben einer Tatsache.

group-needs-person = Braucht eine Person
group-needs-nobody = Braucht zurzeit niemanden
group-active-runs = Aktive Läufe
group-made-good = Probleme, die niemanden mehr brauchen
group-queues = Warteschlangen
active-in-time = In der Frist
active-overdue = Überfällig
active-no-time-limit = Keine Frist für sie bekannt
recorded-inferred = aus einem Signal erschlossen
late-agrees = stimmt überein
late-disagrees = widerspricht
deadline-to-come = Frist
deadline-passed = Frist war
proof-late-signal = ein spätes Signal des Laufs selbst
nothing-to-do = Nichts ist mehr zu tun.
nobody-needed = Hier braucht nichts eine Person.
none-overdue = Kein aktiver Lauf ist über seine Frist.
still-open = Noch offen
proof-run = ein späterer Lauf
proof-observation = in gutem Zustand gesehen
proof-adapter = ein Adapter,
proof-operator = abgeschlossen von
adapter-idle = beurteilt hier nichts
adapter-failing = seine Quelle versagt
adapter-refused = seine Entscheidungen werden abgelehnt
adapter-not-asked = noch nicht gefragt
adapter-answers = antwortet
becomes-given-up = Aufgegeben: er endet, und wie, ist nicht bekannt
decision-needs-attention = Eine Person sollte nachsehen
decision-no-change = Nichts zu sagen
log-signed = Stimmt mit dem Signierten überein
log-unsigned = Noch nicht signiert
log-behind = Das Signieren ist im Rückstand
log-halted = Ist nicht, was signiert wurde, und nimmt nichts mehr auf

## Ob aus einer Warteschlange etwas übernommen wird, und warum.

queue-reason-nothing-waits = Hier wartet nichts.
queue-reason-no-live-worker = So wie es steht, nein: alle Worker dieser Warteschlange sind fort.
queue-reason-no-start-since-deadline = Vermutlich nicht: Ein Lauf hier ist überfällig, und seither ist keiner gestartet.
queue-reason-past-deadline = Ja, aber spät: Ein Lauf hier ist überfällig, während andere starten.
queue-reason-live-worker = Ja: Ein Worker bedient diese Warteschlange.
queue-reason-recent-start = Vermutlich: Vor Kurzem ist hier ein Lauf gestartet.
queue-reason-nothing-known = Das ist nicht bekannt: Kein Worker hat diese Warteschlange genannt, und zuletzt ist hier nichts gestartet.

## Der Hinweis auf laufende Arbeit: nur über Läufe, die nicht beendet sind.

activity-nothing = Nichts ist aktiv
activity-in-time = { $active } aktiv, alle in der Frist
activity-unverified = { $active } aktiv, { $unknown } ohne bekannte Frist
activity-overdue = { $stale } von { $active } aktiven überfällig
