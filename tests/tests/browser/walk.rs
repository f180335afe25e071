//! What a person does with hand, keys and finger: a time on the chart, a word on a whole list, going
//! back; and what they see by their own clock and in their browser's language.

use runledger_tests::browser::Browser;
use serde_json::{Value, json};

use super::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_walks_through_the_dashboard() {
    let stage = Stage::set(None).await;
    a_time_on_the_chart_leads_to_its_runs(&stage).await;
    going_back_finds_the_row_again(&stage).await;
    hints_tell_the_time_of_the_reader(&stage).await;
    a_word_on_the_whole_list_is_said_and_taken_back(&stage).await;
    on_a_narrow_screen_nothing_lies_beside_it(&stage).await;
    assert_eq!(stage.browser.complaints().await.unwrap(), Vec::<String>::new());
    the_language_is_that_of_the_browser(&stage).await;
    stage.browser.close().await.unwrap();
    stage.demo.end().await.unwrap();
}

const BAR: &str = "[...document.querySelectorAll('svg[data-brush] a')]";

/// The time that the list of runs is of, as the first and the last moment.
async fn listed(browser: &Browser) -> (String, String) {
    browser.holds("location.pathname === '/w/main/runs'").await.unwrap();
    let parts = "const of = new URLSearchParams(location.search);
        return ['since', 'until'].map((name) => new Date(of.get(name)).toISOString())";
    let parts = browser.run(parts).await.unwrap();
    let text = |at: usize| parts[at].as_str().unwrap().to_owned();
    (text(0), text(1))
}

async fn of_bar(browser: &Browser, place: usize, name: &str) -> String {
    let script = format!("return new Date({BAR}[{place}].dataset.{name}).toISOString()");
    browser.run(&script).await.unwrap().as_str().unwrap().to_owned()
}

async fn a_time_on_the_chart_leads_to_its_runs(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("").await;
    browser.holds("!document.querySelector('#brush-hint').hidden").await.unwrap();
    for finger in ["mouse", "touch"] {
        stage.open("").await;
        browser.holds(&format!("{BAR}.length > 4")).await.unwrap();
        let (since, until) = (of_bar(browser, 1, "from").await, of_bar(browser, 3, "until").await);
        let middle = |place: usize| {
            format!(
                "const one = {BAR}[{place}].getBoundingClientRect();
                 one.left + one.width / 2"
            )
        };
        browser.run("document.querySelector('svg[data-brush]').scrollIntoView()").await.unwrap();
        let (from, to) = (across(browser, &middle(1)).await, across(browser, &middle(3)).await);
        let chart = "document.querySelector('svg[data-brush]').getBoundingClientRect()";
        let height = across(browser, &format!("{chart}.top + {chart}.height / 3")).await;
        browser.drag(finger, (from, height), (to, height)).await.unwrap();
        assert_eq!(listed(browser).await, (since, until), "{finger}");
        browser.holds("document.querySelector('[data-row]') !== null").await.unwrap();
    }
    stage.open("").await;
    let (since, until) = (of_bar(browser, 0, "from").await, of_bar(browser, 2, "until").await);
    browser.run(&format!("{BAR}[0].focus()")).await.unwrap();
    browser.press_with('\u{e008}', '\u{e014}').await.unwrap();
    browser.press_with('\u{e008}', '\u{e014}').await.unwrap();
    browser.holds("document.querySelector('#brushed').innerText.includes(' – ')").await.unwrap();
    browser.press('\u{e007}').await.unwrap();
    assert_eq!(listed(browser).await, (since, until), "by keys");
    // A bar by itself is a link, and Escape takes back what was begun.
    stage.open("").await;
    let (since, until) = (of_bar(browser, 1, "from").await, of_bar(browser, 1, "until").await);
    browser.run(&format!("{BAR}[0].focus()")).await.unwrap();
    browser.press_with('\u{e008}', '\u{e014}').await.unwrap();
    browser.press('\u{e00c}').await.unwrap();
    browser.holds("document.querySelector('.brush') === null").await.unwrap();
    browser.press('\u{e007}').await.unwrap();
    assert_eq!(listed(browser).await, (since, until), "one bar");
}

/// A number of pixels that a script gives.
async fn across(browser: &Browser, script: &str) -> i64 {
    let (before, last) = script.rsplit_once(';').unwrap_or(("", script));
    let pixels = browser.run(&format!("{before}; return Math.round({last})")).await.unwrap();
    pixels.as_i64().unwrap()
}

async fn going_back_finds_the_row_again(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/runs").await;
    for _ in 0..3 {
        browser.press('j').await.unwrap();
    }
    let at = "document.activeElement.closest('[data-row]')?.dataset.row";
    let row = browser.run(&format!("return {at}")).await.unwrap();
    assert!(row.is_string(), "{row}");
    browser.press('\u{e007}').await.unwrap();
    browser.holds("document.querySelector('.truths') !== null").await.unwrap();
    browser.run("history.back()").await.unwrap();
    browser.holds(&format!("{at} === {row}")).await.unwrap();
    let current = "document.querySelector('[data-row].current')?.dataset.row";
    browser.holds(&format!("{current} === {row}")).await.unwrap();
    // And goes on from there.
    browser.press('j').await.unwrap();
    browser.holds(&format!("{at} !== {row} && {at} !== undefined")).await.unwrap();
}

async fn hints_tell_the_time_of_the_reader(stage: &Stage) {
    let browser = &stage.browser;
    let zone = |name: &str| json!({"timezoneId": name});
    browser.devtools("Emulation.setTimezoneOverride", zone("Asia/Tokyo")).await.unwrap();
    for (language, marks) in [("en", "GMT+9"), ("de", "GMT+9")] {
        let view = format!("{language}.light.local");
        browser.add_cookie("runledger_view", &view).await.unwrap();
        for page in ["", "/runs", "/operations"] {
            stage.open(page).await;
            let hints = "[...document.querySelectorAll('main [title]')].map((one) => one.title)
                .concat([...document.querySelectorAll('main svg title')].map((one) => one.textContent))";
            browser
                .holds(&format!("{hints}.some((one) => one.includes('{marks}'))"))
                .await
                .unwrap();
            browser.holds(&format!("!{hints}.some((one) => one.includes(' UTC'))")).await.unwrap();
        }
    }
    browser.devtools("Emulation.setTimezoneOverride", zone("")).await.unwrap();
    stage.choose("en", "light").await;
}

async fn a_word_on_the_whole_list_is_said_and_taken_back(stage: &Stage) {
    let browser = &stage.browser;
    let items = "document.querySelectorAll('[data-row]').length";
    let runs = "Number(document.querySelector('[data-runs]').dataset.runs)";
    stage.open("/follow-ups").await;
    let before = browser.run(&format!("return {items}")).await.unwrap().as_u64().unwrap();
    assert!(before > 1, "there is something to do");
    browser.click(".bulk a").await.unwrap();
    browser.holds("document.querySelector('[data-runs]') !== null").await.unwrap();
    let many = browser.run(&format!("return {runs}")).await.unwrap().as_u64().unwrap();
    assert!(many >= before, "{many}");
    browser.write("#reason", "accepted").await.unwrap();
    browser.click("form.word .primary").await.unwrap();
    browser.shows(&format!("{many}\u{a0}runs.")).await.unwrap();
    browser.holds(&format!("{items} === 0")).await.unwrap();
    // Everything that a person closed is opened again, and the list is as it was.
    stage.open("/follow-ups?actionability=resolved_by_operator").await;
    browser.click(".bulk a").await.unwrap();
    browser.holds(&format!("{runs} >= {many}")).await.unwrap();
    let back = browser.run(&format!("return {runs}")).await.unwrap().as_u64().unwrap();
    browser.write("#reason", "not_yet").await.unwrap();
    browser.click("form.word .primary").await.unwrap();
    browser.shows(&format!("{back}\u{a0}runs.")).await.unwrap();
    stage.open("/follow-ups").await;
    browser.holds(&format!("{items} >= {before}")).await.unwrap();
}

async fn on_a_narrow_screen_nothing_lies_beside_it(stage: &Stage) {
    let browser = &stage.browser;
    browser.resize(390, 900).await.unwrap();
    for page in ["/environments", "/log", "/follow-ups", "/runs"] {
        stage.open(page).await;
        let wide = "[...document.querySelectorAll('main .scroll')]
            .every((one) => one.scrollWidth <= one.clientWidth + 1)";
        browser.holds(wide).await.unwrap();
        let whole = "document.documentElement.scrollWidth <= 391";
        browser.holds(whole).await.unwrap();
    }
    // A notice about the connection is in sight wherever somebody has scrolled to.
    stage.open("").await;
    let scrolls = "document.querySelector('#lost').hidden = false; window.scrollTo(0, 1500)";
    browser.run(scrolls).await.unwrap();
    let lost = "document.querySelector('#lost').getBoundingClientRect()";
    browser
        .holds(&format!("scrollY > 900 && {lost}.top >= 0 && {lost}.bottom < 200"))
        .await
        .unwrap();
    browser
        .run("document.querySelector('#follow-up-count').firstChild.data = '1,000'")
        .await
        .unwrap();
    let count = "document.querySelector('#follow-up-count').getBoundingClientRect().height";
    browser.holds(&format!("{count} < 26")).await.unwrap();
    stage.open("/environments").await;
    let labelled =
        "getComputedStyle(document.querySelector('.matrix td.now-side'), '::before').content";
    browser.holds(&format!("{labelled}.includes('Runs')")).await.unwrap();
    browser.resize(1440, 900).await.unwrap();
}

async fn the_language_is_that_of_the_browser(stage: &Stage) {
    let browser = Browser::start("de").await.unwrap();
    browser.sign_in(&stage.demo.sign_in_link().unwrap()).await.unwrap();
    browser.open(&format!("{}/w/main/follow-ups", stage.demo.url())).await.unwrap();
    browser.holds("document.documentElement.lang === 'de'").await.unwrap();
    browser.shows("Offene Punkte").await.unwrap();
    let none: Value =
        browser.run("return document.cookie.includes('runledger_view')").await.unwrap();
    assert_eq!(none, json!(false), "nobody has chosen");
    browser.close().await.unwrap();
}
