//! Pictures of every page, from the demo's data: `cargo screenshots [DIRECTORY] [PAGE…]`.
//!
//! Each page is taken 1440 and 390 pixels wide, light and dark, as long as it is. `DIRECTORY` is
//! `target/screenshots` unless it is named.

use std::path::{Path, PathBuf};

use anyhow::Context;
use runledger::demo::{Demo, Kind};
use runledger::settings::{Flags, Settings};
use runledger_tests::browser::Browser;

/// The pages, by the names of their pictures. `{run}` is a run with the verdict before it.
const PAGES: &[(&str, &str)] = &[
    ("overview", ""),
    ("follow-ups", "/follow-ups"),
    ("resolve", "/follow-ups/resolve?action=resolve&all=true"),
    ("resolve-nothing", "/follow-ups/resolve?action=resolve"),
    ("closed", "/follow-ups?actionability=superseded_by_later_success"),
    ("runs", "/runs"),
    ("runs-filtered", "/runs?actionability=superseded_by_later_success"),
    ("run-superseded", "superseded_by_later_success"),
    ("run-stale", "stale_running"),
    ("run-open", "actionable"),
    ("queues", "/queues"),
    ("operations", "/operations"),
    ("environments", "/environments"),
    ("adapters", "/adapters"),
    ("log", "/log"),
    ("log-narrowed", "/log?type=run.failed"),
    ("log-beyond", "/log?type=run.failed&before=900000"),
    ("fault", "/runs?status=sleeping"),
    ("workspaces", ".."),
    ("past", "?as_of=300"),
    ("past-run", "actionable@300"),
    ("past-nothing", "?as_of=2020-01-01T00:00:00Z"),
    ("past-workspaces", "..?as_of=2020-01-01T00:00:00Z"),
    ("account", "../account"),
    ("people", "../people"),
    ("person", "../people/ada"),
    ("sign-in", "../sign-in"),
];

/// Those that are taken in German as well, where words are longer.
const GERMAN: &[&str] = &["overview", "follow-ups", "queues", "runs", "run-open", "past"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory =
        arguments.next().map_or_else(|| PathBuf::from("target/screenshots"), PathBuf::from);
    let only: Vec<String> = arguments.collect();
    std::fs::create_dir_all(&directory)?;
    let data = tempfile::tempdir()?;
    let flags = Flags {
        data_dir: data.path().to_str().map(str::to_owned),
        listen: Some("127.0.0.1:0".to_owned()),
        log: Some("warn".to_owned()),
        ..Flags::default()
    };
    let settings = Settings::resolve(&flags, &|_| None)?;
    let demo = Demo::play(&settings, &|_, _| {}).await?;
    somebody(&demo, &settings).await?;
    let browser = Browser::start("en").await?;
    browser.sign_in(&demo.sign_in_link()?).await?;
    let shown = demo.shown().await?;
    for (name, page) in PAGES {
        if !only.is_empty() && !only.iter().any(|one| name.starts_with(one.as_str())) {
            continue;
        }
        let kinds = [Kind::Actionability, Kind::Freshness];
        let (verdict, then) = page.split_once('@').unwrap_or((page, ""));
        let example = kinds.iter().find_map(|kind| shown.verdict(*kind, verdict));
        let page = match example {
            Some(verdict) if then.is_empty() => format!("/runs/{}", verdict.example),
            Some(verdict) => format!("/runs/{}?as_of={then}", verdict.example),
            None => (*page).to_owned(),
        };
        let url = match page.as_str() {
            page if page == ".." || page.starts_with("..?") => {
                format!("{}/w{}", demo.url(), &page[2..])
            }
            page if page.starts_with("../") => format!("{}{}", demo.url(), &page[2..]),
            page => format!("{}/w/{}{page}", demo.url(), settings.workspace),
        };
        for (language, theme, width) in [
            ("en", "light", 1440),
            ("en", "dark", 1440),
            ("en", "light", 390),
            ("en", "dark", 390),
            ("de", "light", 1440),
            ("de", "light", 390),
        ] {
            let suffix = if language == "en" { "" } else { "-de" };
            if language == "de" && !GERMAN.contains(name) {
                continue;
            }
            let picture = directory.join(format!("{name}-{width}-{theme}{suffix}.png"));
            let view = format!("{language}.{theme}.utc");
            take(&browser, demo.url(), &url, &view, width, &picture)
                .await
                .with_context(|| format!("no picture of {url}"))?;
        }
    }
    browser.close().await?;
    demo.end().await
}

/// Somebody who signs in, and has.
async fn somebody(demo: &Demo, settings: &Settings) -> anyhow::Result<()> {
    let password = "a horse of correct colour";
    let token = std::fs::read_to_string(settings.token_file())?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let ada = serde_json::json!({"name": "ada", "password": password, "reason": "joins"});
    let url = format!("{}/v1/people", demo.url());
    http.post(url).bearer_auth(token.trim()).json(&ada).send().await?.error_for_status()?;
    let form = format!("name=ada&password={}&next=/", password.replace(' ', "+"));
    let request = http.post(format!("{}/sign-in", demo.url())).body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("user-agent", "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0");
    request.send().await?;
    Ok(())
}

async fn take(
    browser: &Browser,
    site: &str,
    url: &str,
    view: &str,
    width: u32,
    picture: &Path,
) -> anyhow::Result<()> {
    browser.resize(width, 900).await?;
    if !browser.url().await?.starts_with(site) {
        browser.open(site).await?;
    }
    browser.add_cookie("runledger_view", view).await?;
    browser.open(url).await?;
    browser.holds("document.fonts.status === 'loaded'").await?;
    let height = browser.run("return document.documentElement.scrollHeight").await?;
    let height = height.as_u64().unwrap_or(900).clamp(900, 6_000);
    browser.resize(width, u32::try_from(height)?).await?;
    std::fs::write(picture, browser.picture().await?)?;
    Ok(())
}
