// What pages do by themselves: keys, the local clock, live regions, and the sign of a lost
// connection. Without it everything can still be read and done.
"use strict";
(() => {
  const $ = (css, from = document) => from.querySelector(css);
  const all = (css, from = document) => [...from.querySelectorAll(css)];

  // --- Times in the reader's own zone, if that is wanted.
  const local = () => document.documentElement.dataset.zone === "local";
  const language = document.documentElement.lang || "en";
  // The name of the zone at a moment: it changes with the season.
  const zone = (at) => new Intl.DateTimeFormat(language, { timeZoneName: "short" })
    .formatToParts(at).find((part) => part.type === "timeZoneName")?.value ?? "";
  // A moment by the clock of the reader.
  function told(at, how) {
    const two = (n) => String(n).padStart(2, "0");
    const parts = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())];
    const day = language === "de" ? parts.reverse().join(".") : parts.join("-");
    const hour = `${two(at.getHours())}:${two(at.getMinutes())}`;
    return { full: `${day} ${hour}:${two(at.getSeconds())} ${zone(at)}`, zoned: `${day} ${hour} ${zone(at)}`, hour }[how]
      ?? `${day} ${hour}`;
  }
  function clock(root = document) {
    if (!local()) return;
    for (const name of all("[data-zone-name]", root)) name.textContent = zone(new Date());
    for (const time of all("time[datetime]", root)) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      if (time.dataset.clock) time.textContent = told(at, time.dataset.clock);
      if (time.title) time.title = told(at, "full");
    }
    // Other hints are texts that name moments.
    for (const hint of all("[title]:not(time)", root)) hint.title = inZone(hint.title);
    for (const hint of all("svg title, .squares .hidden", root)) hint.textContent = inZone(hint.textContent);
  }
  const STAMP = /(?:(\d{4})-(\d\d)-(\d\d)|(\d\d)\.(\d\d)\.(\d{4})) (\d\d):(\d\d)(?::(\d\d))? UTC/g;
  const inZone = (text) => text.replace(STAMP, (_, y, m, d, day, month, year, hour, minute, second) => {
    const at = new Date(Date.UTC(y ?? year, (m ?? month) - 1, d ?? day, hour, minute, second ?? 0));
    return told(at, second ? "full" : "zoned");
  });

  // How long nothing may be heard, in milliseconds: three beats of the stream.
  const SILENCE = 15_000;

  // --- Live. Regions that cannot jump are renewed in place; lists say how much is new.
  const live = $("#live");
  let renewing = false;
  let again = false;

  // A page that answered a form is not asked for again: what it shows would be gone. Where it holds what
  // somebody wrote, that is kept, and the rest is renewed.
  // What is to be asked for instead is read once: the region that is renewed does not say it again.
  const watch = $("#region")?.dataset.watch;
  async function renew() {
    const from = watch ?? $("#region")?.dataset.live ?? location.href;
    if (!from) return;
    if (renewing) { again = true; return; }
    renewing = true;
    try {
      const signal = AbortSignal.timeout(SILENCE);
      const answer = await fetch(from, { headers: { "HX-Request": "true" }, signal });
      // A page that tells why there is none is no other page when it is asked for again.
      if (answer.status === 401 || $("#region, [data-news]")) refused(answer.status);
      if (!answer.ok) return;
      letIn();
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["activity", "follow-up-count"]) await put(id, next);
      if ($("[data-news]") && (!$("#region") || held())) {
        news(next);
      } else if ($("#region") && !busy()) {
        $(".pill")?.remove();
        await around(next);
      }
      if (!live) lost(false);
    } catch {
      // Where there is a stream, it says that the connection is lost.
      if (!live) lost(true);
    } finally {
      renewing = false;
      if (again) { again = false; renew(); }
    }
  }

  // A list that renews itself holds still while it is paused, looked into, or under the pointer.
  let paused = false;
  function held() {
    const region = $("#region[data-holds]");
    return Boolean(region) && (paused || scrollY > 200 || region.matches(":hover")
      || Boolean($("details[open]", region)));
  }

  const pause = $("#pause");
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? pause.dataset.off : pause.dataset.on;
      $("#paused").hidden = !paused;
      if (!paused) { $(".pill")?.remove(); renew(); }
    });
  }

  // Somebody writes where nothing else is kept apart, or drags: nothing moves under the hand.
  function busy() {
    return document.body.classList.contains("brushing") || written().some((one) => !one.closest("[data-keeps]"));
  }

  // The fields of what is renewed that somebody writes in, or has written in.
  function written() {
    const fields = all("#region :is(input:not([type=hidden]), textarea, select)");
    return fields.filter((one) => one === document.activeElement
      || (one.matches("input, textarea") && one.value !== one.defaultValue));
  }

  // Everything is renewed but the part that somebody writes in. If that would be another one by now, it
  // says what is true instead.
  async function around(next) {
    const kept = watch ? $("[data-keeps]") : written()[0]?.closest("[data-keeps]");
    if (!kept) { await put("region", next); return; }
    kept.setAttribute("hx-morph-skip", "");
    await put("region", next);
    kept.removeAttribute("hx-morph-skip");
    const [fresh, told] = [next.getElementById(kept.id), $("#overtaken", kept)];
    if (!fresh || !told) return;
    const [is, text] = all("strong, span > span", told);
    const now = [".verdict", ".guidance-text"].map((css) => $(`.truth.now ${css}`, next)?.textContent.trim() ?? "");
    if (told.hidden !== (fresh.dataset.is === kept.dataset.is)) told.hidden = !told.hidden;
    if (told.hidden || is.textContent === now[0]) return;
    is.textContent = `${now[0]}.`;
    const leads = $(".truth.now .related", next);
    text.replaceChildren(`${now[1]} `, ...(leads ? [document.importNode(leads, true)] : []));
  }

  async function put(id, next) {
    const [old, fresh] = [document.getElementById(id), next.getElementById(id)];
    if (!old || !fresh || old.isEqualNode(fresh)) return;
    const open = new Set(all("details[open]", old).map((one) => all("details", old).indexOf(one)));
    all("details", fresh).forEach((one, place) => { if (open.has(place)) one.open = true; });
    clock(fresh);
    hint(fresh);
    // Morphing keeps the elements that stay, and with them focus and scrolling.
    await htmx.swap({ target: old, text: fresh.outerHTML, swap: "outerMorph", sourceElement: old });
  }

  // What a list would show if it were opened again: how many rows came, and how many changed or went.
  // What came and does not fit the list is not counted, because it would not be found there.
  function news(next) {
    const rows = (root) => all("main [data-row]", root).map((row) => [row.dataset.row, row.dataset.is]);
    const [before, after] = [new Map(rows(document)), rows(next)];
    const whole = !$("main a[rel=next]", next);
    // Behind the last row that stays, others only move up from the page below.
    const last = after.findLastIndex(([id]) => before.has(id));
    const came = after.filter(([id], at) => !before.has(id) && (whole || last < 0 || at < last)).length;
    const there = new Set(after.map(([id]) => id));
    const gone = [...before.keys()].filter((id) => !there.has(id)).length;
    const changed = after.filter(([id, is]) => before.has(id) && before.get(id) !== is).length
      + Math.max(0, whole ? gone : gone - came);
    const words = $("[data-news]").dataset;
    const says = (text, count) => count > 0 ? [text.replace("0", String(count))] : [];
    const entirely = came > 0 && came === after.length && !whole;
    const told = [...says(entirely ? words.more : words.text, came), ...says(words.changed, changed)];
    pill(told.join(", "));
  }

  function pill(text) {
    let one = $(".pill");
    if (!text) { one?.remove(); return; }
    if (!one) {
      one = document.createElement("button");
      one.type = "button";
      one.className = "pill";
      one.addEventListener("click", () => location.reload());
      document.body.append(one);
    }
    if (one.textContent !== text) one.textContent = text;
  }

  // One of the notices about the connection: it is lost, or whoever looks is sent away.
  const shown = (id) => $(`#${id}`)?.hidden === false;
  function notice(id) {
    for (const one of all("#lost, #ended, #barred")) one.hidden = one.id !== id;
  }
  const lost = (is) => { if (is !== shown("lost")) notice(is ? "lost" : ""); };

  // A server that is there and sends away. What is written stays on the page.
  function refused(status) {
    const why = { 401: "ended", 403: "barred", 404: "barred" }[status];
    if (why && !shown(why)) notice(why);
    return Boolean(why);
  }

  // The same that lets in again. Forms of another session are of no use: unless somebody has written
  // something, the page is opened anew.
  function letIn() {
    if (shown("ended") && !written().length) location.reload();
    if (shown("ended") || shown("barred")) notice("");
  }

  if (live) stream();

  // The stream says something every five seconds. Where nothing comes for three times as long, the
  // server hangs or the network swallows: the connection is given up, and another one is tried.
  function stream() {
    let connection = null;
    let heard = performance.now();
    let looked = heard;
    const hear = () => { heard = performance.now(); lost(false); };
    live.addEventListener("moved", () => renew());
    live.addEventListener("beat", () => renew());
    document.addEventListener("htmx:sse:after:connection", () => { hear(); letIn(); });
    document.addEventListener("htmx:sse:after:message", hear);
    document.addEventListener("htmx:sse:error", (event) => {
      const { status } = event.detail ?? {};
      if (status) heard = performance.now();
      if (!refused(status)) lost(true);
    });
    document.addEventListener("htmx:sse:close", () => { connection = null; });
    document.addEventListener("htmx:sse:before:connection", (event) => {
      connection = event.detail?.connection ?? null;
      // Who comes back to a page has it connected again: that is no loss.
      const back = performance.now() - looked < 1000;
      const told = shown("ended") || shown("barred");
      if (connection?.attempt > 0 && !document.hidden && !back && !told) lost(true);
    });
    // One stream, that starts here: an attribute would have the library start another one beside it.
    const connect = () => htmx.ajax("GET", live.dataset.stream, { source: live, swap: "none", timeout: SILENCE });
    // Ends what is there of it, or the wait before the next one.
    const again = () => {
      heard = performance.now();
      if (!connection) { connect(); return; }
      connection.reader?.cancel();
      connection.delayCanceller?.();
    };
    connect();
    addEventListener("offline", () => lost(true));
    addEventListener("online", again);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      heard = looked = performance.now();
      setTimeout(() => connection?.delayCanceller?.());
    });
    setInterval(() => {
      if (document.hidden || performance.now() - heard < SILENCE) return;
      lost(true);
      again();
    }, 1000);
  }

  // A page of all workspaces has no stream of its own: it looks again now and then.
  const every = Number($("#region")?.dataset.every ?? 0);
  if (every > 0) {
    setInterval(() => { if (!document.hidden) renew(); }, every * 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });
  }

  // --- Keys.
  const rows = () => all("[data-rows] [data-row]");
  const current = () => $("[data-row].current");

  function move(step) {
    const list = rows();
    if (!list.length) return;
    const place = list.indexOf(current());
    const next = list[Math.min(Math.max(place + step, 0), list.length - 1)];
    current()?.classList.remove("current");
    next.classList.add("current");
    next.scrollIntoView({ block: "nearest" });
    $(".row-link", next)?.focus({ preventScroll: true });
  }

  // The row that somebody was at is found again by going back, and by opening the page anew.
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-rows] [data-row]")?.dataset.row;
    if (row && history.state?.row !== row) history.replaceState({ ...history.state, row }, "");
  });
  function findAgain() {
    const row = rows().find((one) => one.dataset.row === history.state?.row);
    if (!row) return;
    row.classList.add("current");
    $(".row-link", row)?.focus({ preventScroll: true });
  }

  const open = () => $(".row-link", current() ?? undefined)?.click();
  let going = false;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inField = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (inField) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (going) {
      going = false;
      const link = $(`a[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    const done = {
      "/": () => { const runs = $("a[data-go=r]"); if ($("#search")) $("#search").focus(); else if (runs) location.href = runs.href; },
      j: () => move(current() ? 1 : 0),
      k: () => move(-1),
      x: () => { const box = current() && $("input[type=checkbox]", current()); if (box) box.checked = !box.checked; },
      e: resolve,
      g: () => { going = true; },
      "?": help,
    }[event.key];
    if (done) { event.preventDefault(); done(); return; }
    if (event.key === "Enter" && current() && event.target === document.body) { event.preventDefault(); open(); }
  });

  // Resolve: what is marked, else the row that is meant, else the run of this page.
  function resolve() {
    const form = $("#bulk");
    if (form) {
      const box = current() && $("input[type=checkbox]", current());
      if (!$("input[type=checkbox]:checked", form) && box) box.checked = true;
      if ($("input[type=checkbox]:checked", form)) $("#resolve-marked").click();
      return;
    }
    $("#reason-resolve, #reason-reopen")?.focus();
  }

  const keys = $("#keys-button");
  if (keys) {
    keys.hidden = false;
    keys.addEventListener("click", help);
  }

  // What the keys do on this page, and where they lead from it.
  function help() {
    const dialog = $("#keys");
    if (!dialog) return;
    for (const line of all("[data-needs]", dialog)) line.hidden = !$(line.dataset.needs);
    all("[data-leads]", dialog).forEach((line) => line.remove());
    for (const link of all("a[data-go]")) {
      const line = document.createElement("div");
      line.dataset.leads = "";
      const [term, where, text] = ["dt", "dd", "span"].map((name) => document.createElement(name));
      for (const key of ["g", link.dataset.go]) {
        const sign = document.createElement("kbd");
        sign.textContent = key;
        term.append(sign, " ");
      }
      text.textContent = $("span", link).textContent;
      where.append(text);
      line.append(term, where);
      $(".keys", dialog).lastElementChild.before(line);
    }
    dialog.showModal();
  }

  // --- Menus close when the hand goes elsewhere.
  document.addEventListener("click", (event) => {
    for (const menu of all("details.switch[open], details.as-of[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of all("details.switch[open], details.as-of[open]")) {
      menu.open = false;
      $("summary", menu).focus();
    }
  });

  // --- Brushing over the chart leads to the runs of that time: by dragging, or bar by bar with Shift
  // and the arrows.
  let brush = null;
  const chartOf = (target) => target.closest?.("svg[data-brush]");
  const BAR = 20;
  function draw(chart, left, right) {
    let rect = $(".brush", chart);
    if (!rect) {
      rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      rect.setAttribute("class", "brush");
      rect.setAttribute("y", "0");
      rect.setAttribute("height", "150");
      chart.append(rect);
      document.body.classList.add("brushing");
    }
    rect.setAttribute("x", left);
    rect.setAttribute("width", Math.max(right - left, 1));
    const since = Number(chart.dataset.since);
    const moment = (bars) => new Date(since + bars * Number(chart.dataset.step));
    const [from, until] = [moment(Math.floor(left / BAR)), moment(Math.max(Math.ceil(right / BAR), Math.floor(left / BAR) + 1))];
    const utc = (at) => `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
    const says = (at) => local() ? told(at, "zoned") : utc(at);
    const text = `${says(from)} – ${says(until)}`;
    if ($("#brushed").textContent !== text) $("#brushed").textContent = text;
    return { chart, from, until };
  }
  function wipe() {
    for (const rect of all(".brush")) rect.remove();
    document.body.classList.remove("brushing");
    if ($("#brushed")) $("#brushed").textContent = "";
    brush = null;
  }
  function follow({ chart, from, until }) {
    const url = new URL(chart.dataset.brush, location.href);
    url.searchParams.set("since", from.toISOString());
    url.searchParams.set("until", until.toISOString());
    location.href = url;
  }
  document.addEventListener("pointerdown", (event) => {
    const chart = chartOf(event.target);
    if (chart && event.button === 0 && event.isPrimary) { wipe(); brush = { chart, at: event.clientX }; }
  });
  document.addEventListener("pointermove", (event) => {
    if (brush?.at === undefined || (!brush.range && Math.abs(event.clientX - brush.at) < 6)) return;
    const box = brush.chart.getBoundingClientRect();
    const at = (x) => Math.min(Math.max((x - box.left) / box.width, 0), 1) * brush.chart.viewBox.baseVal.width;
    const ends = [brush.at, event.clientX].sort((one, other) => one - other).map(at);
    brush.range = draw(brush.chart, ...ends);
  });
  let dragged = false;
  document.addEventListener("pointerup", () => {
    const range = brush?.at !== undefined && brush.range;
    // The end of it is no click on the bar that it ends at, whether it was taken back or not.
    dragged ||= Boolean(range);
    if (dragged) setTimeout(() => { dragged = false; });
    if (!range) return;
    wipe();
    follow(range);
  });
  document.addEventListener("pointercancel", wipe);
  document.addEventListener("click", (event) => { if (dragged) { event.preventDefault(); event.stopPropagation(); } }, true);
  document.addEventListener("dragstart", (event) => { if (chartOf(event.target)) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && brush) { dragged = brush.at !== undefined; wipe(); }
    const bar = event.target.closest?.("svg[data-brush] a");
    if (!bar || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && brush?.range) { event.preventDefault(); follow(brush.range); return; }
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const chart = chartOf(bar);
    const bars = all("a", chart);
    const next = bars[Math.min(Math.max(bars.indexOf(bar) + step, 0), bars.length - 1)];
    const first = event.shiftKey ? brush?.bar ?? bar : null;
    next.focus();
    wipe();
    if (!first) return;
    const place = (one) => (new Date(one.dataset.from) - Number(chart.dataset.since)) / Number(chart.dataset.step) * BAR;
    const ends = [place(first), place(next)].sort((one, other) => one - other);
    brush = { bar: first, range: draw(chart, ends[0], ends[1] + BAR) };
  });
  document.addEventListener("focusout", (event) => {
    if (brush?.bar && !(event.relatedTarget && chartOf(event.relatedTarget))) wipe();
  });
  function hint(root = document) {
    const one = $("#brush-hint", root);
    if (one) one.hidden = false;
  }
  hint();

  // Where there is room the filters stand beside the list. A browser that does not open them by the
  // style sheet is helped.
  if ($("#fold") && matchMedia("(min-width: 56.01rem)").matches) $("#fold").open = true;

  clock();
  findAgain();
})();
