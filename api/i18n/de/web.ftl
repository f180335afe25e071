# Die Wörter des Rahmens. Dieselben Schlüssel wie im Englischen. Was über Läufe, Warteschlangen und
# offene Punkte gesagt wird, steht in projections/i18n.

## Rahmen

frame-skip = Zum Inhalt springen
frame-workspace = Arbeitsbereich
frame-environment = Umgebung
frame-pages = Seiten
frame-theme-dark = Dunkles Erscheinungsbild
frame-theme-light = Helles Erscheinungsbild
frame-theme-auto = Erscheinungsbild dieses Geräts
frame-zone-local = Zeiten in der eigenen Zeitzone zeigen
frame-zone-utc = Zeiten in UTC zeigen
frame-sign-out = Abmelden
environment-all = Alle Umgebungen
environment-own = Arbeitsbereich selbst

nav-overview = Übersicht
nav-follow-ups = Offene Punkte
nav-runs = Läufe
nav-queues = Warteschlangen
nav-operations = Vorgänge
nav-environments = Umgebungen
nav-adapters = Adapter
nav-log = Protokoll

time-ago = vor { $thing }
time-soon = in { $thing }

unit-runs = { $n ->
    [one] Lauf
   *[other] Läufe
}
list-shown = { $thing } von { $all } gezeigt
unit-operations = { $n ->
    [one] Vorgang
   *[other] Vorgänge
}
unit-events = { $n ->
    [one] Ereignis
   *[other] Ereignisse
}
unit-items = { $n ->
    [one] Aufgabe
   *[other] Aufgaben
}

## Die Vergangenheit

as-of-now = Jetzt
as-of-explained = Diese Seite, wie sie zu einem Zeitpunkt war: was damals bekannt war, mit den Fristen und dem Katalog von damals.
as-of-label = Zeit in UTC oder eine Position des Protokolls
as-of-go = Dorthin
as-of-earlier = Zurück um
past-title = Vergangenheit:
past-explained = Was später aufgezeichnet wurde, zählt hier nicht, und nichts lässt sich ändern.
past-leave = Zurück zum Jetzt
past-before = Zu diesem Zeitpunkt war hier noch nichts aufgezeichnet: Der Arbeitsbereich entstand später.
past-before-short = Hier war noch nichts

## Live

live-lost = Verbindung verloren. Neuer Versuch läuft.
live-ended = Ihre Sitzung ist beendet. Hier wird nichts mehr erneuert.
live-sign-in = Anmelden und zurückkommen
live-barred = Sie dürfen dies nicht mehr ansehen, oder es ist nicht mehr da. Hier wird nichts erneuert.
live-open-again = Noch einmal öffnen
live-overtaken = Dies hat sich geändert, während Sie schrieben. Was Sie geschrieben haben, ist noch da. Jetzt:
live-new = { $thing } neu
live-new-more = { $thing } oder mehr neu
live-changed = { $thing } geändert

## Tastatur

keys-title = Tastatur
keys-search = Suchen
keys-move = Nächste oder vorige Zeile
keys-open = Zeile öffnen
keys-select = Zeile auswählen
keys-resolve = Ausgewähltes abschließen
keys-reason = Grund eintragen
keys-help = Diese Liste
keys-close = Schließen

## Anmelden

sign-in-title = Anmelden
sign-in-explained = Bitte das Token des Administrators eingeben. Es steht im Datenverzeichnis des Servers in der Datei admin-token.
sign-in-code-explained = Dieser Link meldet diesen Browser an. Er gilt einmal.
sign-in-open = Dashboard öffnen
sign-in-token = Token des Administrators
sign-in-go = Anmelden
sign-in-wrong-token = Das ist nicht das Token des Administrators.
sign-in-code-used = Dieser Link wurde schon benutzt oder ist älter als eine Stunde. Bitte mit dem Token anmelden oder den Server für einen neuen Link neu starten.
sign-in-needs-encryption = Diese Adresse ist nicht verschlüsselt, deshalb kann sich hier niemand anmelden. Bitte den Server hinter HTTPS stellen oder auf dem Rechner selbst öffnen.
sign-in-name = Name
sign-in-password = Passwort
sign-in-as-administrator = Als Administrator des Servers anmelden
sign-in-refused = Das hat nicht geklappt. Bitte Name und Passwort prüfen. Nach mehreren Versuchen hintereinander bitte einige Minuten warten.

## Anmelden mit einem Identitätsanbieter

openid-go = Mit { $thing } anmelden
openid-or = oder mit Name und Passwort
openid-not-begun = Diese Anmeldung wurde in einem anderen Browser oder unter einer anderen Adresse begonnen, war schon benutzt oder hat länger als zehn Minuten gedauert. Niemand wurde angemeldet. Bitte neu beginnen.
openid-denied = { $thing } hat Sie nicht eingelassen, oder dort wurde abgebrochen. Niemand wurde angemeldet.
openid-no-answer = { $thing } ist nicht zu erreichen oder antwortet nicht, wie es soll. Bitte in einer Minute noch einmal versuchen. Ein Passwort oder das Token des Administrators gelten wie bisher.
openid-busy = Im Augenblick melden sich zu viele an. Bitte in einigen Sekunden noch einmal versuchen.
openid-not-believed = Die Antwort von { $thing } ließ sich nicht prüfen, deshalb wurde niemand angemeldet. Bitte neu beginnen. Geschieht es wieder, bitte dem Administrator dieses Servers sagen: Sein Protokoll nennt den Grund.
openid-slow = Nach mehreren Versuchen hintereinander bitte einige Minuten warten und neu beginnen.
openid-unknown = { $thing } kennt Sie, aber hier ist noch niemand diese Person. Bitte den Administrator dieses Servers, Sie einzulassen, und sagen Sie ihm, wer Sie dort sind:
openid-disabled = Sie können sich hier zurzeit nicht anmelden. Bitte fragen Sie den Administrator dieses Servers.
openid-nameless = { $thing } kennt Sie, nennt aber keinen Namen, den Sie hier haben könnten. Bitte den Administrator dieses Servers, Sie einzulassen, und sagen Sie ihm, wer Sie dort sind:
openid-name-taken = Den Namen, den { $thing } von Ihnen nennt, hat hier schon jemand. Sind Sie es selbst, melden Sie sich mit Ihrem Passwort an und verknüpfen Sie beides auf der Seite Ihres Kontos. Sonst sagen Sie dem Administrator dieses Servers, wer Sie dort sind:
openid-taken = Das hat nicht geklappt: Sie sind dort mit jemand anderem verknüpft, oder jemand anderes ist es hier. Bitte fragen Sie den Administrator dieses Servers.

account-identity = Anmelden mit { $thing }
account-identity-explained = Sagen Sie, wer Sie dort sind, und melden Sie sich ohne dieses Passwort an. Es gilt weiterhin.
account-identity-linked = Sie melden sich dort an als
account-identity-go = Verknüpfen
account-identity-go-on = Bitte innerhalb von zehn Minuten weitergehen und sich dort als Sie selbst anmelden.
account-provider-away = Er ist zurzeit nicht zu erreichen. Bitte in einer Minute noch einmal versuchen.
account-linked-done = Erledigt. Von jetzt an können Sie sich auch dort anmelden.

people-ways = Meldet sich an mit
people-way-both = Passwort und Anbieter
people-way-password = Passwort
people-way-provider = Anbieter
people-way-none = Nichts

## Das eigene Konto, und Personen

account-title = Ihr Konto
account-of-server = Administrator des Servers
account-administrator = Sie sind mit dem Token des Administrators oder seinem Link angemeldet. Für die tägliche Arbeit bitte eine Person anlegen:
account-password = Passwort
account-password-explained = Ein neues Passwort meldet Sie in jedem anderen Browser ab.
account-password-current = Bisheriges Passwort
account-password-new = Neues Passwort, mindestens 12 Zeichen
account-password-again = Neues Passwort, noch einmal
account-password-go = Passwort ändern
account-password-done = Sie haben ein neues Passwort und sind überall sonst abgemeldet.
account-password-wrong = Das bisherige Passwort ist ein anderes. Nach mehreren Versuchen hintereinander bitte einige Minuten warten.
account-password-differs = Die beiden neuen Passwörter sind nicht gleich.
account-password-length = Ein Passwort hat 12 bis 256 Zeichen.
account-password-monotonous = Ein Passwort hat mindestens 5 verschiedene Zeichen.
account-sessions-done = Dort abgemeldet.
sessions-title = Angemeldet
sessions-explained = Eine Sitzung endet nach 8 Stunden ohne Benutzung und nach einem Tag.
sessions-none = Nirgends angemeldet.
sessions-device = Browser
sessions-began = Seit
sessions-seen = Zuletzt benutzt
sessions-this = dieser
sessions-end = Abmelden
sessions-end-others = Überall sonst abmelden
sessions-end-all = Überall abmelden
sessions-reason = Grund, fürs Log
roles-title = Was Sie dürfen
roles-role = Rolle
roles-none = Sie haben noch in keinem Workspace eine Rolle. Bitte einen Administrator darum bitten.
role-owner = Eigentümer
role-admin = Administrator
role-operator = Operator
role-reporter = Melder
role-adapter = Adapter
role-auditor = Prüfer
role-viewer = Betrachter
people-title = Personen
people-explained = Wer sich an diesem Server anmeldet. Neue Personen werden auf der Kommandozeile angelegt:
people-command = runledger users add
people-none = Noch niemand.
people-name = Name
people-state = Zustand
people-last = Zuletzt angemeldet
people-since = Seit
people-never = noch nie
people-active = Kann sich anmelden
people-disabled = Gesperrt
people-no-password = Hat kein Passwort
unit-people = { $n ->
    [one] Person
   *[other] Personen
}

fault-not-found = Hier ist nichts
fault-busy = Gerade nicht
fault-internal = Der Server ist gescheitert
fault-request = Das lässt sich nicht zeigen
fault-forbidden = Nicht mit Ihrer Rolle
fault-foreign = Diese Anfrage wurde abgelehnt
fault-foreign-detail = Sie kam von einer anderen Website oder von einer veralteten Seite. Bitte zurückgehen, die Seite neu laden und es noch einmal tun.
fault-signed-out = Abgemeldet
fault-signed-out-detail = Bitte neu anmelden.
fault-home = Zur Übersicht
fault-workspace = Übersicht von { $thing }
fault-about = Es geht um:
fault-unknown-workspace = Einen Arbeitsbereich dieses Namens gibt es nicht, oder Sie haben keine Rolle darin.
fault-unknown-environment = Diese Umgebung gibt es nicht: in keiner dieses Namens ist etwas gelaufen. Hier sind die, die es gibt.
fault-unknown-queue = Diese Warteschlange gibt es nicht: kein Lauf und kein Worker hat sie genannt. Hier sind die, die es gibt.
fault-unknown-run = Einen solchen Lauf kennt hier niemand. Er kann zu einem anderen Arbeitsbereich gehören, oder es wurde noch nichts von ihm gemeldet. Bitte in der Liste suchen.
fault-unknown-view = Eine Ansicht dieses Namens ist hier nicht gespeichert. Vielleicht hat sie jemand entfernt.
fault-unknown-person = Niemand dieses Namens ist auf diesem Server bekannt.
fault-ambiguous-run = Auf diesen Teil einer Kennung passt mehr als ein Lauf. Bitte mehr davon angeben, oder den Lauf öffnen und von dort weitergehen.
fault-run-out-of-reach = Keiner der neuesten Läufe hat dies in seiner Kennung, und die älteren wurden nicht durchsucht. Bitte die letzten 12 Stellen der Kennung angeben, wie die Seiten sie zeigen, oder die ganze.
fault-no-such-route = Unter dieser Adresse gibt es keine Seite. Bitte prüfen, oder von hier aus weiter.
fault-no-such-form = Diese Adresse nimmt ein Formular einer der Seiten. Bitte zur Seite zurückgehen und es von dort senden.
fault-forbidden-detail = Ihre Rolle, oder dass sie nur für einige Umgebungen gilt, erlaubt das nicht. Ein Administrator des Arbeitsbereichs kann Ihnen eine andere geben.
fault-invalid-query = Etwas in dieser Adresse nimmt die Seite nicht. Bitte weglassen, oder auf der Seite selbst neu beginnen.
fault-future = Dieser Zeitpunkt ist noch nicht gekommen. Bitte einen früheren wählen.
fault-invalid-cursor = Die Stelle der Liste, die diese Adresse nennt, gibt es nicht mehr. Bitte die Liste von vorn beginnen.
fault-preparing = Das Gefragte wird gerade zusammengestellt. Bitte die Seite in ein paar Sekunden neu laden.
fault-too-many-views = Mehr Ansichten lassen sich hier nicht speichern. Bitte zuerst eine entfernen.
fault-view-of-another = Die Ansicht dieses Namens hat jemand anderes gespeichert. Bitte unter einem anderen Namen speichern, oder darum bitten, sie zu entfernen; das kann auch die Verwaltung des Arbeitsbereichs.
fault-invalid-body = Was gesendet wurde, lässt sich so nicht nehmen. Bitte zurückgehen, prüfen und noch einmal senden.
fault-no-adapter = Für diesen Vorgang gibt es keinen Adapter, also ist niemand da, der gefragt werden kann.
fault-adapter-idle = Der Adapter ist nicht eingerichtet und kann nicht gefragt werden. Wer diesen Server betreibt, kann ihn einrichten.
fault-halted = Das Protokoll nimmt keine Ereignisse mehr: es ist nicht, was signiert wurde. Wer diesen Server betreibt, muss es zuerst ansehen.
fault-too-fast = Zu viele Anfragen in zu kurzer Zeit. Bitte einen Moment warten und dann die Seite neu laden.
fault-archived = Was das braucht, liegt in einem Archiv, das der Server gerade nicht lesen kann. Wer diesen Server betreibt, kann es wiederherstellen.
fault-conflict = Das passt nicht zu dem, was inzwischen aufgezeichnet ist. Bitte zurückgehen und noch einmal ansehen.
fault-busy-detail = Der Server oder seine Datenbank ist zu beschäftigt oder nicht erreichbar. Bitte die Seite gleich noch einmal laden.
fault-internal-detail = Es liegt nicht an Ihnen. Das Log des Servers sagt, warum; bitte sagen Sie es dem, der ihn betreibt.

## Ein Parameter einer Adresse, der nicht angenommen werden kann

parameter-wrong = Der Parameter { $thing } kann hier nicht „{ $all }“ sein.
parameter-missing = Der Parameter { $thing } fehlt.
parameter-unknown = Diese Seite hat keinen Parameter { $thing }.
parameter-twice = Der Parameter { $thing } steht mehr als einmal da.
parameter-once = Bitte nur einmal angeben.
parameter-known = Es gibt: { $thing }.
parameter-words = Möglich sind: { $thing }.
parameter-moment = Er nimmt eine Zeit, etwa 2026-11-21T14:30:00Z.
parameter-as-of = Er nimmt eine Zeit, etwa 2026-11-21T14:30:00Z, oder eine Position des Protokolls, etwa 1200.
parameter-number = Er nimmt eine ganze Zahl.
parameter-number-to = Er nimmt eine ganze Zahl von 1 bis { $thing }.
parameter-after = Er muss später sein als { $thing }.
parameter-subject = Er nimmt eine Art und eine Kennung mit einem Schrägstrich dazwischen, etwa tenant/7.
parameter-text = Er nimmt einen kurzen Text in einer Zeile.

## Übersicht

needs-oldest = ältester
follow-ups-all = Alle offenen Punkte
sort-title = Reihenfolge:
sort-newest = neueste zuerst
sort-oldest = älteste zuerst
active-title = Jetzt aktiv
active-due = fällig
active-all = Alle davon
quiet-title = Warum es ruhig ist
quiet-explained = Was von der Liste verschwunden ist seit
quiet-older = davor beauftragt
quiet-newer = beauftragt seit
chart-title = Die letzten 24 Stunden, wie aufgezeichnet
chart-capped = nur die seit
chart-since = beauftragt seit
chart-order = Von unten:
chart-most = höchstens, je halbe Stunde,
chart-table = Zahlen als Tabelle
chart-brush = Über die Balken ziehen, oder Umschalt mit den Pfeiltasten und dann Eingabe, führt zu den Läufen dieser Zeit.
queues-none = Noch kein Lauf und kein Worker hat eine Warteschlange genannt.
queue-waiting = Wartende Läufe
queue-oldest = Längste Wartezeit
queue-workers = Worker
operations-all = Alle Vorgänge mit ihren Regeln
operations-all-link = Alle Vorgänge
health-title = Das Protokoll selbst
health-events = Ereignisse
health-last = Letzte Position
health-lag = Rückstand
health-parked = Geht nicht weiter
health-parked-why = Die Seiten stehen vor einem Ereignis, das sich nicht verarbeiten lässt, und zeigen den Stand davor. Das Protokoll des Servers nennt den Grund; bitte sagen Sie es denen, die ihn betreiben.

col-from = Ab
col-operation = Vorgang
col-last-ten = Letzte zehn
col-active = Aktive Läufe
col-open-runs = Offene Läufe
col-open-items = Aufgaben
col-oldest = Älteste
col-runs = Läufe
col-run = Lauf
col-environment = Umgebung
col-recorded = Aufgezeichnet
col-now = Jetzt
col-then = Damals
col-dispatched = Beauftragt
col-proof = Nicht mehr offen, weil
col-position = Position
col-what = Was
col-when = Wann
col-after = Nach
col-occurred = Geschehen
col-recorded-at = Aufgezeichnet
col-source = Gemeldet von
col-hash = Hash
col-took = Dauer (p50 / p95)
col-took-of = der letzten, die ihr Ende meldeten
col-windows = Fristen (warten / laufen)
col-adapter = Adapter

## Läufe

facets-title = Liste eingrenzen
facets-more = { $thing } weitere
facets-uncounted = nicht gezählt
facets-beyond = Wie viele Läufe jede Auswahl übrig lässt, ist nicht gezählt, wo die Liste nach Text, Gegenstand, Warteschlange, Zeit oder Frist eingegrenzt ist.
facets-beyond-rest = Noch { $thing } weitere: bitte unten im Feld nennen.
list-capped = Verlangt waren { $thing }, und eine Seite zeigt höchstens { $all }.
list-capped-on = Der Rest steht auf den nächsten Seiten.
facet-fields = Weitere Filter
field-subject = Gegenstand (Art/Kennung)
field-connection = Verbindung
connection-none = keine
field-since = Beauftragt ab (UTC)
field-until = Beauftragt vor (UTC)
first-event = Hier wurde noch nichts gemeldet. So wird ein erstes Ereignis gemeldet:
first-event-token = TOKEN ist eines, das in diesem Arbeitsbereich melden darf, RUNLEDGER_URL die Adresse dieses Servers. Wie Jobsysteme melden, steht in docs/job-systems.md.
choice-any = Beliebig
facet-now = Jetzt
facet-status = Aufgezeichneter Stand
facet-outcome = Aufgezeichnetes Ergebnis
facet-freshness = Frist
facet-family = Familie
facet-operation = Vorgang
runs-search = Läufe suchen
runs-filtered = Was passt, das Neueste zuerst
runs-from-beginning = von vorn
runs-remove = Entfernen
runs-clear = Alle entfernen
runs-none = Kein Lauf passt. Ohne einen der Filter sind es mehr.
runs-scanned = Die Liste geht weiter. Durchgesehen wurde sie bis
runs-older = Ältere
runs-newer = Neuere
runs-at-least = mindestens { $thing }
runs-end = Das sind alle.
saved-title = Gespeicherte Ansichten
saved-name = Name dieser Ansicht
saved-save = Speichern
saved-forget = Diese Ansicht entfernen
saved-of = { $thing } hat diese Ansicht gespeichert. Was Sie hier angeben, bleibt im Protokoll.
workspaces-all = Alle Arbeitsbereiche
workspaces-by = Nach Arbeitsbereich
workspaces-late = in 24 Stunden
workspaces-together = Zusammen
workspaces-not-there = Dieser Arbeitsbereich entstand später.
workspaces-not-asked = Öffnen Sie ihn, um ihn zu sehen, wie er war.
workspaces-too-many = Öffnen Sie ihn, um zu sehen, was es gibt.
workspaces-preparing = Seine Vergangenheit wird zusammengestellt. Bitte laden Sie die Seite in einigen Sekunden neu.
workspaces-untold = ohne { $thing }
unit-workspaces = { $n ->
    [one] Arbeitsbereich
   *[other] Arbeitsbereiche
}
word-left = Was hier zu sehen ist, ist noch übrig.
word-more = Es gibt mehr, was nicht gezählt wurde.
word-rounds = Höchstens { $thing } auf einmal. Danach ist zu sehen, was übrig ist, und es geht weiter.

## Lauf

run-truths = Was aufgezeichnet ist, und was jetzt gilt
run-truths-then = Was aufgezeichnet war, und was damals galt
run-late = Späte Meldung:
run-late-recorded = aufgezeichnet
run-immutable = Nichts ändert, was aufgezeichnet ist.
run-proof = Nachweis:
run-as-of = Stand
run-next-change = ändert sich von selbst
run-life = Sein Leben, maßstäblich
run-life-table = Was aufgezeichnet wurde, als Tabelle
run-life-true = Was für ihn galt, und was das änderte
run-life-more = { $thing } weitere Ereignisse sind nicht gezeichnet.
timeline-passed = Eine Frist verstrich
timeline-still = bis jetzt
timeline-still-then = bis zu diesem Zeitpunkt
col-true = Galt
col-lasted = Für
col-changed-by = Wegen
timeline-deadline = Frist
run-why = Warum
why-actionability = Offener Punkt
why-freshness = Frist
why-queue = Warteschlange
why-adapter = Von einem Adapter gefunden
why-person = Das Wort einer Person
why-last-sign = Letztes Lebenszeichen
why-deadline = Frist
run-since = seit
why-rule = Regel
why-settled = Beendet
why-policy = Richtlinie
why-catalog = Katalog, Version { $thing }
why-next = Nächste Änderung
why-next-never = Zeit allein ändert daran nichts.
why-window = Fenster
why-blind = in denen das Protokoll nicht zuhören konnte
why-abandon = Danach wird gewartet
run-evidence = Belege
run-actions = Was sich tun lässt
run-actions-then = Was damals getan werden konnte
run-actions-past = Dies sind die Antworten von
run-dry = Zeigen, was der Adapter entschiede
preview-would = Aufgezeichnet würde:
preview-nothing = Nichts würde aufgezeichnet.
run-scope = Dieselbe Arbeit davor und danach
run-scope-explained = Derselbe Vorgang am selben Gegenstand in derselben Umgebung, der älteste links.
run-facts = Angaben
run-raw = Aufgezeichnete Ereignisse
run-raw-last = Hier stehen die letzten { $thing }.
run-raw-all = Alle stehen im Protokoll.
run-not-yet = Von diesem Lauf war noch nichts aufgezeichnet am
run-not-yet-now = Der Lauf, wie er jetzt ist
fact-started = Begonnen
fact-queue = Warteschlange
fact-worker = Worker
fact-fingerprint = Fingerabdruck
fact-initiator = Beauftragt von
fact-attempt = Versuch
fact-retry-of = Wiederholt
fact-parent = Teil von
fact-related = Zugehörig
fact-artifact = Erzeugt

event-run-dispatched = Beauftragt
event-run-started = Begonnen
event-run-heartbeat = Lebenszeichen
event-run-succeeded = Erfolg gemeldet
event-run-failed = Problem gemeldet
event-run-cancelled = Abbruch gemeldet
event-run-ended = Ende gemeldet
event-run-reconciled = Ein Adapter entschied
event-run-late-signal = Späte Meldung
event-run-follow-up-resolved = Von einer Person abgeschlossen
event-run-follow-up-reopened = Von einer Person wieder geöffnet
event-subject-observed = Gegenstand gesehen
event-worker-seen = Worker gesehen
event-worker-stopped = Worker fort
event-workspace-created = Arbeitsbereich angelegt
event-workspace-ledger-blind = Das Protokoll konnte nicht zuhören
event-catalog-published = Katalog in Kraft
event-erasure-requested = Löschung beantragt
event-erasure-approved = Löschung genehmigt
event-erasure-executed = Löschung ausgeführt
event-erasure-completed = Löschung abgeschlossen
event-erased = gelöscht
event-archive-ordered = Archiv angeordnet
event-archive-dropped = Inhalte archiviert
event-archive-restored = Archivierte Inhalte zurückgeholt
event-archived = archiviert
run-archived = Etwas, das zu diesem Lauf aufgezeichnet wurde, liegt in einem Archiv, das der Server nicht lesen kann. Sein Verlauf wird hier nicht gezeichnet; die aufgezeichneten Ereignisse unten sagen, wo das Archiv abgelegt wurde.
event-token-created = Token erstellt
event-token-revoked = Token widerrufen
event-member-granted = Rolle erteilt
event-member-removed = Rolle entzogen
event-person-changed = Person geändert
event-audit-pack-read = Prüfpaket gelesen
event-key-rotated = Signaturschlüssel gewechselt
event-view-removed = Gespeicherte Ansicht entfernt
event-checkpoint-accepted = Prüfpunkt angenommen
event-checkpoint-timestamped = Prüfpunkt mit Zeitstempel versehen
event-other = Ereignis

## Das Wort einer Person

follow-ups-open = Offen
left-none = Auf diesem Weg hat nichts die Liste verlassen.
left-explained = Was die Liste verließ, und der Nachweis dafür.
left-of-late = Von der Liste
left-at = Von der Liste genommen
item-first = zuerst
item-last = zuletzt
item-once = beendet
last-heard = zuletzt gehört
word-mark = Auswählen
word-reason = Grund, in einem Wort
word-note = Notiz
word-resolve-marked = Ausgewählte abschließen
word-resolve-all = Alle passenden abschließen
word-reopen-marked = Ausgewählte wieder öffnen
word-reopen-all = Alle passenden wieder öffnen
action-not-yours = Ihre Rolle zeigt es und erlaubt es nicht.
word-preview-first = Vor dem Aufzeichnen ist zu sehen, wie viele Läufe es sind.
word-said = Aufgezeichnet für
word-changed = Es ist nicht mehr, was gezeigt wurde. Bitte noch einmal ansehen. Damals waren es
word-not-taken = Es wurde nichts aufgezeichnet.
word-nothing = Nichts passt mehr.
word-none-marked = Es ist nichts ausgewählt, also geschieht nichts. Bitte zuerst in der Liste etwas auswählen.
word-of-marked = Was Sie ausgewählt haben.
word-of-all = Alles, was zu den Filtern der Liste passt, auf allen ihren Seiten.
word-cancel = Abbrechen
word-back = Zurück zur Liste
word-kept = Sie mussten sich neu anmelden. Was Sie geschrieben hatten, ist noch da:
word-reason-wrong = Bitte einen Grund angeben, ein Wort oder wenige: bis 200 Zeichen, ohne Zeilenumbruch.
word-note-wrong = Diese Notiz ist zu lang oder enthält Zeichen, die sich nicht aufheben lassen: bitte bis 2.000 Zeichen.
word-undo = Das Wort steht neben dem Geschehenen und ändert nichts daran. Es lässt sich zurücknehmen.

## Andere Seiten

queues-explained = Ob etwas übernimmt, was wartet. Eine Warteschlange umfasst alle Umgebungen.
queue-picked-up = Wird es übernommen?
queue-last-start = Letzter Start
queue-left = Er hat seine Warteschlange verlassen:
queue-never-left = Er endete, ohne seine Warteschlange verlassen zu haben.
queue-waited = Gewartet
queue-today = wie sie jetzt ist
operations-coverage = Vorgänge des Katalogs, die liefen:
operations-unclassified = Nicht im Katalog:
environments-none = Kein Lauf hat bisher eine Umgebung genannt.
environments-explained = Je Familie: offene Läufe / Läufe.
adapters-explained = Adapter sehen dort nach, wo die Arbeit ist, und belegen, wie Läufe endeten. Sie schreiben selbst nichts.
chip-text = Suche
chip-left-since = Von der Liste seit (UTC)
chip-limit = Höchstens
adapters-past = Wie sie antworteten, ist nur von jetzt bekannt und wird hier nicht gezeigt.
adapter-no-domain = Keine Datenbank der Domäne ist eingerichtet. Mit einer würden diese Läufe beurteilt.
adapter-reads-restores = restore_runs der Datenbank der Domäne
adapter-reads-reviews = environment_reviews der Datenbank der Domäne
adapter-reads-query = eine Abfrage der Datenbank der Domäne
adapter-reads-http = einen Dienst über HTTP
adapter-reads-own = was ein eigenes Programm liest
adapter-error-unavailable = Seine Quelle war nicht zu erreichen.
adapter-error-timeout = Seine Quelle hat nicht bald genug geantwortet.
adapter-error-refused = Seine Quelle ließ ihn nicht lesen.
adapter-error-malformed = Was seine Quelle antwortete, war nicht zu lesen.
adapter-error-broken = Er brach mit einem eigenen Fehler ab.
adapter-error-subject = Er sah einen Gegenstand, und der Lauf hat keinen.
adapter-error-run = Er kennt diesen Lauf nicht.
adapter-error-idle = Er ist nicht eingerichtet.
adapter-error-remote = Er ist ein eigenes Programm: es holt sich seine Läufe und sagt, was es fand.
adapter-error-decision = Was er entschied, darf so nicht aufgezeichnet werden.
adapter-error-other = Er gab keine Antwort.
reason-timeout = Es dauerte zu lange
reason-cancelled = Er wurde angehalten
reason-unreachable = Etwas, das er braucht, war nicht zu erreichen
reason-rate-limited = Zu viele Anfragen
reason-permission = Es war ihm nicht erlaubt
reason-not-found = Etwas, das er braucht, gibt es nicht
reason-memory = Der Speicher reichte nicht
reason-disk = Der Datenträger war voll
reason-input = Seine Eingaben sind nicht brauchbar
reason-error = Ein Fehler seines Programms
reason-conflict = Etwas anderes kam dazwischen
adapter-code-abandoned = Von ihm wurde so lange nichts gehört, dass nicht länger gewartet wird.
adapter-code-not-due = Auf ihn wird noch gewartet.
adapter-code-nothing-found = Zu diesem Lauf wurde nichts gefunden.
adapter-code-several-found = Es wurde mehr als eines gefunden, und keines wird vorgezogen.
adapter-code-source-did-not-answer = Die Quelle hat nicht geantwortet.
adapter-code-value-without-a-meaning = Die Quelle gab einen Wert, der hier keine Bedeutung hat.
adapter-code-ambiguous-restore = Mehr als eine Wiederherstellung passt zu diesem Lauf.
adapter-code-no-restore-found = Zu diesem Lauf gibt es keine Wiederherstellung.
adapter-code-restore-aborted = Die Wiederherstellung wurde abgebrochen.
adapter-code-restore-completed = Die Wiederherstellung ist vollständig.
adapter-code-restore-completed-with-errors = Die Wiederherstellung ist vollständig, mit Fehlern.
adapter-code-restore-failed = Die Wiederherstellung endete mit einem Fehler.
adapter-code-restore-is-executing = Die Wiederherstellung läuft noch.
adapter-code-restore-is-previewed = Von der Wiederherstellung gibt es nur eine Vorschau.
adapter-code-unknown-restore-status = Die Wiederherstellung hat einen hier unbekannten Status.
adapter-code-ambiguous-lineage = Mehr als eine Prüfung passt zu diesem Lauf.
adapter-code-archived = Die Prüfung liegt im Archiv.
adapter-code-no-ready-successor = Die Prüfung wurde abgelöst, und was sie ablöste, ist nicht bereit.
adapter-code-no-review-found = Zu diesem Lauf gibt es keine Prüfung.
adapter-code-review-failed = Die Prüfung endete mit einem Fehler.
adapter-code-review-is-a-draft = Die Prüfung ist noch ein Entwurf.
adapter-code-review-ready = Die Prüfung ist bereit.
adapter-code-superseded-by-ready-review = Eine andere Prüfung hat sie abgelöst und ist bereit.
adapter-code-unknown-review-status = Die Prüfung hat einen hier unbekannten Status.
adapter-every = jeder Vorgang
adapter-reads = Liest
adapter-last = Letzte Antwort
adapter-failures = Fehlschläge
adapter-backlog = Zu tun
log-explained = in der Reihenfolge ihrer Aufzeichnung. Nichts ändert oder entfernt eines.
log-newest = die neuesten
log-none = Noch ist nichts aufgezeichnet.
log-none-fits = Kein Ereignis passt zu dem, was gefragt ist.
log-beyond = So weit wie bis Position { $thing } reicht das Protokoll nicht. Dies sind seine neuesten Ereignisse.
log-narrow = Protokoll eingrenzen
log-type = Art
log-type-any = Jede Art
log-run = Lauf (Kennung oder ein Teil davon)
log-actor = Akteur
log-source = Gemeldet von
log-since = Aufgezeichnet ab (UTC)
log-until = Aufgezeichnet vor (UTC)
log-go = Zeigen
log-looked = Durchgesehen bis zurück zur Position { $thing }.
log-pause = Anhalten
log-resume = Weiter
log-paused = Angehalten. Neue Ereignisse warten.
signed-title = Signaturen
signed-size = Signierte Ereignisse
signed-at = Zuletzt signiert
signed-witnesses = Zeugen
signed-no-witness = keine
