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
  function clock(root = document) {
    if (!local()) return;
    for (const name of all("[data-zone-name]", root)) name.textContent = zone(new Date());
    const two = (n) => String(n).padStart(2, "0");
    for (const time of all("time[data-clock]", root)) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const parts = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())];
      const day = language === "de" ? parts.reverse().join(".") : parts.join("-");
      const hour = `${two(at.getHours())}:${two(at.getMinutes())}`;
      time.textContent = { full: `${day} ${hour}:${two(at.getSeconds())} ${zone(at)}`, hour }[time.dataset.clock]
        ?? `${day} ${hour}`;
    }
  }

  // --- Live. Regions that cannot jump are renewed in place; lists say how much is new.
  const live = $("#live");
  let renewing = false;
  let again = false;

  // A page that answered a form is not asked for again: what it shows would be gone.
  async function renew() {
    const from = $("#region")?.dataset.live ?? location.href;
    if (!from) return;
    if (renewing) { again = true; return; }
    renewing = true;
    try {
      const answer = await fetch(from, { headers: { "HX-Request": "true" } });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["activity", "follow-up-count"]) put(id, next);
      if ($("[data-news]") && (!$("#region") || held())) {
        news(next);
      } else if ($("#region") && !busy()) {
        $(".pill")?.remove();
        put("region", next);
      }
      if (!live && $("#lost")) $("#lost").hidden = true;
    } catch {
      // Where there is a stream, it says that the connection is lost.
      if (!live && $("#lost")) $("#lost").hidden = false;
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

  // Somebody writes, has a menu open, or drags: nothing moves under the hand.
  function busy() {
    const active = document.activeElement;
    const writes = active?.matches("#region input, #region textarea, #region select");
    const written = all("#region input:not([type=hidden])").some((one) => one.value !== one.defaultValue);
    return writes || written || document.body.classList.contains("brushing");
  }

  function put(id, next) {
    const [old, fresh] = [document.getElementById(id), next.getElementById(id)];
    if (!old || !fresh || old.isEqualNode(fresh)) return;
    const open = new Set(all("details[open]", old).map((one) => all("details", old).indexOf(one)));
    all("details", fresh).forEach((one, place) => { if (open.has(place)) one.open = true; });
    clock(fresh);
    // Morphing keeps the elements that stay, and with them focus and scrolling.
    htmx.swap({ target: old, text: fresh.outerHTML, swap: "outerMorph", sourceElement: old });
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

  if (live) {
    live.addEventListener("moved", () => renew());
    live.addEventListener("beat", () => renew());
    const lost = (is) => { $("#lost").hidden = !is; };
    document.addEventListener("htmx:sse:after:connection", () => lost(false));
    document.addEventListener("htmx:sse:error", () => lost(true));
    document.addEventListener("htmx:sse:before:connection", (event) => {
      if (event.detail?.connection?.attempt > 0 && !document.hidden) lost(true);
    });
    addEventListener("offline", () => lost(true));
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

  // --- Brushing over the chart leads to the runs of that time.
  let brush = null;
  document.addEventListener("pointerdown", (event) => {
    const chart = event.target.closest?.("svg[data-brush]");
    if (!chart || event.button !== 0) return;
    brush = { chart, from: event.clientX, rect: null };
  });
  document.addEventListener("pointermove", (event) => {
    if (!brush || (!brush.rect && Math.abs(event.clientX - brush.from) < 6)) return;
    const { chart } = brush;
    if (!brush.rect) {
      brush.rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      brush.rect.setAttribute("class", "brush");
      brush.rect.setAttribute("y", "0");
      brush.rect.setAttribute("height", "150");
      chart.append(brush.rect);
      document.body.classList.add("brushing");
    }
    const box = chart.getBoundingClientRect();
    const at = (x) => Math.min(Math.max((x - box.left) / box.width, 0), 1) * chart.viewBox.baseVal.width;
    const [left, right] = [at(Math.min(brush.from, event.clientX)), at(Math.max(brush.from, event.clientX))];
    brush.rect.setAttribute("x", left);
    brush.rect.setAttribute("width", Math.max(right - left, 1));
    brush.range = [left, right];
  });
  document.addEventListener("pointerup", () => {
    const was = brush;
    brush = null;
    document.body.classList.remove("brushing");
    if (!was?.rect) return;
    was.rect.remove();
    const { since, step, brush: to } = was.chart.dataset;
    const moment = (x) => new Date(Number(since) + Math.round(x / 20) * Number(step)).toISOString();
    const [left, right] = was.range;
    const url = new URL(to, location.href);
    url.searchParams.set("since", moment(left));
    url.searchParams.set("until", moment(Math.max(right, left + 20)));
    location.href = url;
  });
  document.addEventListener("dragstart", (event) => {
    if (event.target.closest?.("svg[data-brush]")) event.preventDefault();
  });

  // Where there is room the filters stand beside the list. A browser that does not open them by the
  // style sheet is helped.
  if ($("#fold") && matchMedia("(min-width: 56.01rem)").matches) $("#fold").open = true;

  clock();
  // The library starts between two scripts if the second one is late, and then without the part that
  // listens. Where it has started with it, this does nothing.
  if (live) htmx.process(live);
})();
