//! A page that somebody looks at for long: what comes in while they write, a server that hangs, a
//! network that is gone for a while, and a session that ends elsewhere.

use std::time::Duration;

use runledger_tests::browser::Browser;
use runledger_tests::wire::Wire;
use serde_json::json;

use super::Stage;

/// A failure of this, and a success after it.
const FAILED: &str = "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c31";
const LATER: &str = "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c32";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_stays_true_while_somebody_looks_at_it() {
    let stage = Stage::set(None).await;
    what_is_written_stays_and_the_rest_is_renewed(&stage).await;
    nothing_that_is_marked_is_nothing(&stage).await;
    what_was_refused_is_kept_beside_what_is_true(&stage).await;
    assert_eq!(stage.browser.complaints().await.unwrap(), Vec::<String>::new());
    a_server_that_hangs_is_told_and_comes_back(&stage).await;
    a_browser_that_is_offline_says_so_and_comes_back(&stage).await;
    a_session_that_ended_elsewhere_leads_to_signing_in(&stage).await;
    stage.browser.close().await.unwrap();
    stage.demo.end().await.unwrap();
}

async fn what_is_written_stays_and_the_rest_is_renewed(stage: &Stage) {
    let browser = &stage.browser;
    let begun = |run: &str| {
        let data = json!({"operation": "inventory.sync", "environment": "written",
            "subject": {"type": "tenant", "id": "77"}});
        json!({"type": "run.dispatched", "run_id": run, "data": data})
    };
    let failed =
        json!({"type": "run.failed", "run_id": FAILED, "data": {"reason_code": "timeout"}});
    stage.open("/queues").await;
    let before = browser.run(&format!("return {OPEN}")).await.unwrap();
    stage.record(json!([begun(FAILED), failed])).await;
    browser.holds(&format!("{OPEN} !== {before}")).await.unwrap();
    stage.open(&format!("/runs/{FAILED}")).await;
    browser.holds("document.querySelector('[data-guidance=needs_action]') !== null").await.unwrap();
    browser.write("#reason-resolve", "fixed by").await.unwrap();
    browser.run("window.field = document.querySelector('#reason-resolve')").await.unwrap();
    let before = browser.run(&format!("return {OPEN}")).await.unwrap();
    let ended = json!({"type": "run.succeeded", "run_id": LATER, "data": {}});
    stage.record(json!([begun(LATER), ended])).await;
    // Verdict, frame and history go along, and beside the form it says what has become of it.
    browser.holds("document.querySelector('[data-guidance=superseded]') !== null").await.unwrap();
    browser.holds(&format!("{OPEN} !== {before}")).await.unwrap();
    let told = "document.querySelector('#overtaken')";
    browser.holds(&format!("{told}.checkVisibility()")).await.unwrap();
    let says = format!("{told}.innerText.toLowerCase().includes('superseded')");
    browser.holds(&says).await.unwrap();
    browser.holds(&format!("{told}.querySelector('a[href*=\"{LATER}\"]') !== null")).await.unwrap();
    // The field is the same one, with what is in it, and somebody still writes in it.
    browser.holds("document.activeElement === window.field").await.unwrap();
    browser.holds("window.field.value === 'fixed by'").await.unwrap();
    browser.press('!').await.unwrap();
    browser.holds("window.field.value === 'fixed by!'").await.unwrap();
    browser.holds("window.field.isConnected").await.unwrap();
    // Whoever gives up writing is shown what can be done now.
    browser.run("window.field.value = ''; window.field.blur()").await.unwrap();
    let next = json!({"type": "run.heartbeat", "run_id": LATER, "data": {}});
    stage.record(next).await;
    browser.holds("document.querySelector('#reason-resolve') === null").await.unwrap();
    browser.holds(&format!("!{told}.checkVisibility()")).await.unwrap();
}

/// A form that was refused shows what was written, and the page around it goes along all the same.
async fn what_was_refused_is_kept_beside_what_is_true(stage: &Stage) {
    let browser = &stage.browser;
    let ids = ["5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c41", "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c42"];
    let begun = |run: &str| {
        let data = json!({"operation": "inventory.sync", "environment": "written",
            "subject": {"type": "tenant", "id": "78"}});
        json!({"type": "run.dispatched", "run_id": run, "data": data})
    };
    stage.open("/queues").await;
    let before = browser.run(&format!("return {OPEN}")).await.unwrap();
    let failed =
        json!({"type": "run.failed", "run_id": ids[0], "data": {"reason_code": "timeout"}});
    stage.record(json!([begun(ids[0]), failed])).await;
    browser.holds(&format!("{OPEN} !== {before}")).await.unwrap();
    stage.open(&format!("/runs/{}", ids[0])).await;
    browser.write("#reason-resolve", " ").await.unwrap();
    browser.write("#note-resolve", "looked at it").await.unwrap();
    browser.click("[data-action=resolve] button").await.unwrap();
    browser.holds("document.querySelector('#wrong-resolve') !== null").await.unwrap();
    let said = browser.complaints().await.unwrap();
    assert!(said.iter().all(|one| one.contains("422")), "{said:?}");
    browser.run("document.activeElement.blur()").await.unwrap();
    let ended = json!({"type": "run.succeeded", "run_id": ids[1], "data": {}});
    stage.record(json!([begun(ids[1]), ended])).await;
    browser.holds("document.querySelector('[data-guidance=superseded]') !== null").await.unwrap();
    browser.holds("document.querySelector('#overtaken').checkVisibility()").await.unwrap();
    // And again, when more comes.
    let before = browser.run("return document.querySelector('#region').innerText").await.unwrap();
    stage.record(json!({"type": "run.heartbeat", "run_id": ids[0], "data": {}})).await;
    let renewed = format!("document.querySelector('#region').innerText !== {before}");
    browser.holds(&renewed).await.unwrap();
    browser.holds("document.querySelector('#overtaken').checkVisibility()").await.unwrap();
    let kept = "document.querySelector('#note-resolve').value === 'looked at it'";
    browser.holds(kept).await.unwrap();
    browser.holds("document.querySelector('#wrong-resolve') !== null").await.unwrap();
}

async fn nothing_that_is_marked_is_nothing(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/follow-ups").await;
    browser.click("#resolve-marked").await.unwrap();
    browser.holds("document.querySelector('[data-none-marked]') !== null").await.unwrap();
    browser.holds("document.querySelector('form.word') === null").await.unwrap();
    browser.click(".ways a:first-child").await.unwrap();
    browser.holds("document.querySelector('#bulk') !== null").await.unwrap();
    browser.click(".bulk a").await.unwrap();
    browser.holds("document.querySelector('[data-runs]') !== null").await.unwrap();
    browser.shows("on all of its pages").await.unwrap();
}

/// The page of the overview, through a wire.
async fn through(stage: &Stage) -> Wire {
    let server = stage.demo.url().strip_prefix("http://").unwrap().parse().unwrap();
    let wire = Wire::to(server).await.unwrap();
    let link = stage.demo.sign_in_link().unwrap().replace(stage.demo.url(), &wire.url());
    stage.browser.sign_in(&link).await.unwrap();
    stage.browser.open(&format!("{}/w/main", wire.url())).await.unwrap();
    wire
}

/// Something goes wrong, and the page shows it. Gives how many there were before.
async fn goes_along(stage: &Stage, run: &str) {
    let browser = &stage.browser;
    let before = browser.run(&format!("return {COUNT}")).await.unwrap().as_u64().unwrap();
    fails(stage, run).await;
    browser.holds(&format!("{COUNT} === {}", before + 1)).await.unwrap();
}

async fn fails(stage: &Stage, run: &str) {
    stage
        .record(json!([
            {"type": "run.dispatched", "run_id": run, "data": {"operation": "acme.silent"}},
            {"type": "run.failed", "run_id": run, "data": {"reason_code": "timeout"}},
        ]))
        .await;
}

const COUNT: &str = "Number(document.querySelector('[data-count]').innerText)";
/// How many things there are to do, in the frame.
const OPEN: &str = "document.querySelector('#follow-up-count').textContent";
const LOST: &str = "document.querySelector('#lost').checkVisibility()";

async fn a_server_that_hangs_is_told_and_comes_back(stage: &Stage) {
    let browser = &stage.browser;
    let wire = through(stage).await;
    goes_along(stage, "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c33").await;
    // Nothing happens for longer than the page waits, and the stream is heard all the same: one stream.
    let listens =
        "window.still = 0; document.addEventListener('htmx:sse:after:message', (event) => {
        if (event.detail.message.event === 'still') window.still++; })";
    browser.run(listens).await.unwrap();
    tokio::time::sleep(Duration::from_secs(17)).await;
    browser.holds(&format!("!{LOST}")).await.unwrap();
    let still = browser.run("return window.still").await.unwrap().as_u64().unwrap();
    assert!((1..4).contains(&still), "every five seconds, and every third is a beat: {still}");
    wire.swallow();
    // Three beats are not heard.
    let told = tokio::time::timeout(Duration::from_secs(25), browser.holds(LOST));
    told.await.expect("it is told in time").unwrap();
    let before = browser.run(&format!("return {COUNT}")).await.unwrap().as_u64().unwrap();
    fails(stage, "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c34").await;
    wire.mend();
    browser.holds(&format!("!{LOST}")).await.unwrap();
    browser.holds(&format!("{COUNT} === {}", before + 1)).await.unwrap();
}

async fn a_browser_that_is_offline_says_so_and_comes_back(stage: &Stage) {
    let browser = &stage.browser;
    let wire = through(stage).await;
    goes_along(stage, "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c35").await;
    offline(browser, true).await;
    browser.holds(LOST).await.unwrap();
    offline(browser, false).await;
    browser.holds(&format!("!{LOST}")).await.unwrap();
    goes_along(stage, "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c36").await;
    drop(wire);
}

async fn offline(browser: &Browser, is: bool) {
    browser.devtools("Network.enable", json!({})).await.unwrap();
    let none = json!({
        "offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1
    });
    browser.devtools("Network.emulateNetworkConditions", none).await.unwrap();
}

async fn a_session_that_ended_elsewhere_leads_to_signing_in(stage: &Stage) {
    let browser = &stage.browser;
    browser.sign_in(&stage.demo.sign_in_link().unwrap()).await.unwrap();
    let fits = "/runs?outcome=failed&limit=50";
    stage.open(fits).await;
    goes_along_in_frame(stage).await;
    let ends = "fetch('/sign-out', {method: 'POST', body: new URLSearchParams({form_token:
        document.querySelector('[name=form_token]').value})})";
    browser.run(ends).await.unwrap();
    browser.holds("document.querySelector('#ended').checkVisibility()").await.unwrap();
    browser.shows("Your session has ended").await.unwrap();
    browser.holds(&format!("!{LOST}")).await.unwrap();
    // What was there is still there, and signing in comes back to it.
    browser.holds("document.querySelector('[data-row]') !== null").await.unwrap();
    browser.click("#ended a").await.unwrap();
    browser.holds("location.pathname === '/sign-in'").await.unwrap();
    let next = "new URLSearchParams(location.search).get('next')";
    browser.holds(&format!("{next} === '/w/main{fits}'")).await.unwrap();
}

/// The stream is there: the frame shows what is recorded.
async fn goes_along_in_frame(stage: &Stage) {
    let before = stage.browser.run(&format!("return {OPEN}")).await.unwrap();
    fails(stage, "5e1c7a52-93d0-4a4e-8d3c-0f6b2f9a4c37").await;
    stage.browser.holds(&format!("{OPEN} !== {before}")).await.unwrap();
}
