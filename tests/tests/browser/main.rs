//! The dashboard in a real browser, on the demo's data: what it shows, what can be done with it,
//! and whether everybody can use it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod live;
mod walk;

use runledger::demo::{Demo, Kind};
use runledger::settings::{Flags, Settings};
use runledger_tests::browser::Browser;
use runledger_tests::test_database;
use runledger_tests::wire::Wire;
use serde_json::{Value, json};

const AXE: &str = include_str!("../../fixtures/axe/axe.min.js");
/// What axe is asked: WCAG 2.2, A and AA.
const ASK: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})
       .then((found) => done(found.violations.map((one) =>
           one.id + ': ' + one.nodes.slice(0, 4).map((node) => node.html).join(' | '))))
       .catch((error) => done(['' + error]));";

/// A demo, and a browser that is signed in to it.
struct Stage {
    demo: Demo,
    browser: Browser,
    token: String,
    _directory: tempfile::TempDir,
}

impl Stage {
    async fn set(database_url: Option<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flags = Flags {
            data_dir: Some(directory.path().to_str().unwrap().to_owned()),
            database_url,
            listen: Some("127.0.0.1:0".to_owned()),
            allow_unsafe: Some("durability,database-role".to_owned()),
            ..Flags::default()
        };
        let settings = Settings::resolve(&flags, &|_| None).unwrap();
        let demo = Demo::play(&settings, &|_, _| {}).await.unwrap();
        let token = std::fs::read_to_string(settings.token_file()).unwrap().trim().to_owned();
        let browser = Browser::start("en").await.unwrap();
        browser.resize(1440, 900).await.unwrap();
        browser.sign_in(&demo.sign_in_link().unwrap()).await.unwrap();
        Stage { demo, browser, token, _directory: directory }
    }

    async fn open(&self, page: &str) {
        let url = format!("{}/w/main{page}", self.demo.url());
        self.browser.open(&url).await.unwrap();
    }

    async fn choose(&self, language: &str, theme: &str) {
        let view = format!("{language}.{theme}.utc");
        self.browser.add_cookie("runledger_view", &view).await.unwrap();
    }

    /// Records events over the API.
    async fn record(&self, events: Value) {
        self.send("workspaces/main/events", events).await;
    }

    /// Reads something from the API.
    async fn read(&self, path: &str) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v1/{path}", self.demo.url());
        let answer = http.get(url).bearer_auth(&self.token).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// Sends something to the API, as the administrator.
    async fn send(&self, path: &str, body: Value) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v1/{path}", self.demo.url());
        let answer = http.post(url).bearer_auth(&self.token).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_works_in_a_browser_and_for_everybody_on_sqlite() {
    the_dashboard_works(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_works_in_a_browser_and_for_everybody_on_postgresql() {
    the_dashboard_works(Some(test_database().await)).await;
}

async fn the_dashboard_works(database_url: Option<String>) {
    let stage = Stage::set(database_url).await;
    let shown = stage.demo.shown().await.unwrap();
    let superseded =
        &shown.verdict(Kind::Actionability, "superseded_by_later_success").unwrap().example;
    let stale = &shown.verdict(Kind::Freshness, "stale_running").unwrap().example;
    let open = &shown.verdict(Kind::Actionability, "actionable").unwrap().example;
    an_old_failure_is_history(&stage, superseded).await;
    a_stale_run_is_told_the_same_everywhere(&stage, stale).await;
    a_person_resolves_and_reopens(&stage, open).await;
    a_page_goes_along_with_the_log(&stage).await;
    the_language_is_switched(&stage).await;
    keys_lead_through_lists(&stage).await;
    the_log_holds_still_while_it_is_paused(&stage).await;
    the_past_is_marked(&stage).await;
    let pages = [
        "",
        "/follow-ups",
        "/follow-ups/resolve?action=resolve",
        "/follow-ups/resolve?action=resolve&all=true",
        "/runs",
        "/queues",
        "/operations",
        "/environments",
        "/adapters",
        "/log",
        "/log?type=run.failed",
        "/runs?since=2020-01-01&queue=backups",
        "/queues?as_of=300",
        "/adapters?as_of=300",
        "/runs?follow_up=true",
        "/follow-ups?actionability=superseded_by_later_success",
        "/../../w",
        "?as_of=300",
    ];
    let pages = pages.map(str::to_owned).into_iter();
    let pages = pages.chain([open, stale, superseded].map(|run| format!("/runs/{run}")));
    everybody_can_use(&stage, pages).await;
    all_workspaces_have_the_same_frame(&stage).await;
    a_person_signs_in(&stage).await;
    assert_eq!(stage.browser.complaints().await.unwrap(), Vec::<String>::new());
    what_is_not_there_is_a_page_for_everybody(&stage).await;
    a_lost_connection_is_told_and_comes_back(&stage).await;
    stage.browser.close().await.unwrap();
    stage.demo.end().await.unwrap();
}

async fn an_old_failure_is_history(stage: &Stage, run: &str) {
    let browser = &stage.browser;
    stage.open(&format!("/runs/{run}")).await;
    browser
        .holds("document.querySelector('.truth.recorded [data-outcome=failed]') !== null")
        .await
        .unwrap();
    browser.holds("document.querySelector('[data-guidance=superseded]') !== null").await.unwrap();
    browser.holds("document.querySelector('#actions form') === null").await.unwrap();
    // Since when it is history, and by which rule, stands there; and so does what was recorded.
    browser.holds("document.querySelector('.truth.now [data-since] time') !== null").await.unwrap();
    let rule = "document.querySelector('[data-why=follow-up]').innerText.includes('later_success')";
    browser.holds(rule).await.unwrap();
    browser.holds("document.querySelector('.raw').innerText.includes('Recorded')").await.unwrap();
    stage.open("/follow-ups").await;
    browser.holds(&format!("document.querySelector('a[href*=\"{run}\"]') === null")).await.unwrap();
    stage.open("/follow-ups?actionability=superseded_by_later_success").await;
    browser.holds("document.querySelector('[data-row] .now-side time') !== null").await.unwrap();
}

async fn a_stale_run_is_told_the_same_everywhere(stage: &Stage, run: &str) {
    let browser = &stage.browser;
    let sentence = "document.querySelector('.guidance-text').innerText";
    stage.open(&format!("/runs/{run}")).await;
    let told = browser.run(&format!("return {sentence}")).await.unwrap();
    let told = told.as_str().unwrap().to_owned();
    let loud = "document.querySelector('#activity').dataset.severity === 'attention'";
    browser.holds(loud).await.unwrap();
    // It is past its window since a moment that is told, and what comes next is told as well.
    browser.holds("document.querySelector('.truth.recorded time') !== null").await.unwrap();
    browser.holds("document.querySelector('[data-next]').innerText.length > 0").await.unwrap();
    stage.open("/runs?freshness=stale_running").await;
    browser.shows(&told).await.unwrap();
    browser.holds(loud).await.unwrap();
    // The API tells the same story in the same words.
    let standing = stage.read(&format!("workspaces/main/runs/{run}?lang=en")).await;
    assert_eq!(standing["now"]["freshness"], "stale_running", "{standing}");
    assert_eq!(standing["now"]["guidance"]["severity"], "attention", "{standing}");
    assert_eq!(standing["now"]["guidance"]["text"], told, "{standing}");
}

async fn a_person_resolves_and_reopens(stage: &Stage, run: &str) {
    let browser = &stage.browser;
    stage.open(&format!("/runs/{run}")).await;
    browser.press('e').await.unwrap();
    browser.holds("document.activeElement.id === 'reason-resolve'").await.unwrap();
    // A reason of nothing but space is refused at its field, and the note that was written stays.
    browser.write("#reason-resolve", " ").await.unwrap();
    browser.write("#note-resolve", "looked at it").await.unwrap();
    browser.click("[data-action=resolve] button").await.unwrap();
    browser.holds("document.querySelector('#wrong-resolve') !== null").await.unwrap();
    browser
        .holds("document.querySelector('#note-resolve').value === 'looked at it'")
        .await
        .unwrap();
    // A browser notes that the answer refused.
    let said = browser.complaints().await.unwrap();
    assert!(said.iter().all(|one| one.contains("422")), "{said:?}");
    browser.write("#reason-resolve", "fixed_by_hand").await.unwrap();
    browser.click("[data-action=resolve] button").await.unwrap();
    browser
        .holds("document.querySelector('[data-guidance=resolved_by_operator]') !== null")
        .await
        .unwrap();
    browser.write("#reason-reopen", "not_yet").await.unwrap();
    browser.click("[data-action=reopen] button").await.unwrap();
    browser.holds("document.querySelector('[data-guidance=needs_action]') !== null").await.unwrap();
}

async fn a_page_goes_along_with_the_log(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("").await;
    let count = "Number(document.querySelector('[data-count]').innerText)";
    let before = browser.run(&format!("return {count}")).await.unwrap().as_u64().unwrap();
    browser.run("window.still = true; document.querySelector('#main').focus()").await.unwrap();
    let run = "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c11";
    stage
        .record(json!([
            {"type": "run.dispatched", "run_id": run, "data": {"operation": "acme.live"}},
            {"type": "run.failed", "run_id": run, "data": {"reason_code": "timeout"}},
        ]))
        .await;
    browser.holds(&format!("{count} === {}", before + 1)).await.unwrap();
    browser.holds("window.still === true").await.unwrap();
    // A list does not jump: it says how many rows came that fit it, and they are there then.
    stage.open("/runs?operation=acme.live").await;
    browser.holds("document.querySelector('#live') !== null").await.unwrap();
    let rows = "document.querySelectorAll('[data-row]').length";
    browser.holds(&format!("{rows} === 1")).await.unwrap();
    let begun =
        |operation: &str| json!({"type": "run.dispatched", "data": {"operation": operation}});
    for operation in ["acme.other", "acme.other", "acme.live"] {
        stage.record(begun(operation)).await;
    }
    let pill = "document.querySelector('.pill')?.textContent";
    browser.holds(&format!("{pill} === '1 new'")).await.unwrap();
    browser.click(".pill").await.unwrap();
    browser.holds(&format!("{rows} === 2 && {pill} === undefined")).await.unwrap();
    // A row that changed is told as well.
    stage.open("/runs?operation=acme.live").await;
    let more = json!({"type": "run.succeeded", "run_id": run, "data": {}});
    stage.record(more).await;
    browser.holds(&format!("{pill} === '1 changed'")).await.unwrap();
}

async fn the_language_is_switched(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/queues").await;
    browser.click("button[name=language]").await.unwrap();
    browser.holds("document.documentElement.lang === 'de'").await.unwrap();
    browser.shows("Warteschlangen").await.unwrap();
    browser.click("button[name=language]").await.unwrap();
    browser.holds("document.documentElement.lang === 'en'").await.unwrap();
}

async fn keys_lead_through_lists(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/follow-ups").await;
    browser.press('j').await.unwrap();
    browser.press('j').await.unwrap();
    let place =
        "[...document.querySelectorAll('[data-row]')].findIndex((row) => row.matches('.current'))";
    browser.holds(&format!("{place} === 1")).await.unwrap();
    browser.press('k').await.unwrap();
    browser.holds(&format!("{place} === 0")).await.unwrap();
    browser.press('x').await.unwrap();
    browser.press('e').await.unwrap();
    browser.holds("document.querySelector('[data-runs]') !== null").await.unwrap();
    stage.open("/runs").await;
    browser.press('/').await.unwrap();
    browser.holds("document.activeElement.id === 'search'").await.unwrap();
    stage.open("/runs").await;
    browser.press('?').await.unwrap();
    browser.holds("document.querySelector('#keys').open").await.unwrap();
}

async fn the_log_holds_still_while_it_is_paused(stage: &Stage) {
    let browser = &stage.browser;
    let newest = "Number(document.querySelector('#region [data-row]').dataset.row)";
    let event = json!({"type": "run.dispatched", "data": {"operation": "acme.live"}});
    stage.open("/log").await;
    let before = browser.run(&format!("return {newest}")).await.unwrap().as_u64().unwrap();
    stage.record(event.clone()).await;
    browser.holds(&format!("{newest} > {before}")).await.unwrap();
    browser.click("#pause").await.unwrap();
    browser.holds("document.querySelector('#paused').hidden === false").await.unwrap();
    let before = browser.run(&format!("return {newest}")).await.unwrap().as_u64().unwrap();
    stage.record(event).await;
    browser.holds("document.querySelector('.pill') !== null").await.unwrap();
    browser.holds(&format!("{newest} === {before}")).await.unwrap();
    browser.click("#pause").await.unwrap();
    browser.holds(&format!("{newest} > {before}")).await.unwrap();
}

async fn all_workspaces_have_the_same_frame(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/../../w").await;
    browser.holds("document.querySelector('#activity').dataset.severity !== ''").await.unwrap();
    browser.press('j').await.unwrap();
    browser.holds("document.querySelector('[data-row].current') !== null").await.unwrap();
    browser.press('?').await.unwrap();
    browser.holds("document.querySelector('#keys').open").await.unwrap();
}

async fn what_is_not_there_is_a_page_for_everybody(stage: &Stage) {
    let browser = &stage.browser;
    for page in ["/nope", "/runs/nope", "?environment=nope", "/queues?queue=nope"] {
        everybody_can_use(stage, [page.to_owned()].into_iter()).await;
        browser.holds("document.querySelector('.fault-status').innerText === '404'").await.unwrap();
        browser.holds("document.querySelectorAll('.ways a').length > 1").await.unwrap();
    }
    stage.choose("de", "light").await;
    stage.open("/nope").await;
    browser.shows("Hier ist nichts").await.unwrap();
    stage.choose("en", "light").await;
    stage.open("/").await;
    browser.holds("document.querySelector('#region') !== null").await.unwrap();
}

async fn a_lost_connection_is_told_and_comes_back(stage: &Stage) {
    let browser = &stage.browser;
    let server = stage.demo.url().strip_prefix("http://").unwrap().parse().unwrap();
    let wire = Wire::to(server).await.unwrap();
    let link = stage.demo.sign_in_link().unwrap().replace(stage.demo.url(), &wire.url());
    browser.sign_in(&link).await.unwrap();
    browser.open(&format!("{}/w/main", wire.url())).await.unwrap();
    let count = "Number(document.querySelector('[data-count]').innerText)";
    let failed = |run: &str| {
        json!([
            {"type": "run.dispatched", "run_id": run, "data": {"operation": "acme.wire"}},
            {"type": "run.failed", "run_id": run, "data": {"reason_code": "timeout"}},
        ])
    };
    let before = browser.run(&format!("return {count}")).await.unwrap().as_u64().unwrap();
    stage.record(failed("5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c21")).await;
    browser.holds(&format!("{count} === {}", before + 1)).await.unwrap();
    browser.holds("document.querySelector('#lost').hidden").await.unwrap();
    wire.cut();
    browser.holds("document.querySelector('#lost').hidden === false").await.unwrap();
    // What is recorded meanwhile is there when the connection is.
    stage.record(failed("5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c22")).await;
    wire.mend();
    browser.holds("document.querySelector('#lost').hidden").await.unwrap();
    browser.holds(&format!("{count} === {}", before + 2)).await.unwrap();
}

async fn the_past_is_marked(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/follow-ups?as_of=300").await;
    browser.holds("document.querySelector('.past-band') !== null").await.unwrap();
    browser.holds("document.querySelector('input[type=checkbox]') === null").await.unwrap();
    browser.click(".past-band a").await.unwrap();
    browser.holds("document.querySelector('.past-band') === null").await.unwrap();
}

async fn a_person_signs_in(stage: &Stage) {
    let (browser, password) = (&stage.browser, "a horse of correct colour");
    let ada = json!({"name": "ada", "password": password, "reason": "joins the team"});
    stage.send("people", ada).await;
    let role = json!({"name": "ada", "role": "viewer", "reason": "looks"});
    stage.send("workspaces/main/members", role).await;
    let pages = ["/../../people", "/../../people/ada", "/../../account"].map(str::to_owned);
    everybody_can_use(stage, pages.into_iter()).await;
    browser.click("form[action='/sign-out'] button").await.unwrap();
    browser.holds("document.querySelector('#password') !== null").await.unwrap();
    everybody_can_use(stage, ["/../../sign-in".to_owned()].into_iter()).await;
    browser.write("#name", "ada").await.unwrap();
    browser.write("#password", password).await.unwrap();
    browser.click("main form button").await.unwrap();
    browser.holds("document.querySelector('#activity') !== null").await.unwrap();
    everybody_can_use(stage, ["/../../account".to_owned()].into_iter()).await;
    browser.shows("this one").await.unwrap();
    browser.shows("Viewer").await.unwrap();
    browser.sign_in(&stage.demo.sign_in_link().unwrap()).await.unwrap();
}

async fn everybody_can_use(stage: &Stage, pages: impl Iterator<Item = String>) {
    let mut found = Vec::new();
    for page in pages {
        for theme in ["light", "dark"] {
            stage.choose("en", theme).await;
            stage.open(&page).await;
            stage.browser.run(AXE).await.unwrap();
            let told = stage.browser.run_to_end(ASK).await.unwrap();
            let told = told.as_array().unwrap().iter();
            found.extend(told.map(|one| format!("{page} {theme}: {one}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
