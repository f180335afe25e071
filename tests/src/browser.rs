//! A headless Chromium, driven over the WebDriver protocol. What it needs are the Debian packages
//! `chromium` and `chromium-driver`; `cargo test-all` sees to them.
//!
//! The protocol is spoken here, in a page of code: the crate that does it, `thirtyfour`, turns on
//! features of serde_json for the whole workspace, and the tests would run another program than the
//! one that ships.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long anything may take to appear. A machine that is busy with other tests is slow.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked for it.
const OFTEN: Duration = Duration::from_millis(50);
/// The member under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    session: String,
    child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser that asks for pages in this language.
    pub async fn start(language: &str) -> anyhow::Result<Browser> {
        // Another test of this process may have done so before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver cannot be started; install chromium and chromium-driver")?;
        let port = tokio::time::timeout(PATIENCE, port(&mut child));
        let port = port.await.context("chromedriver does not say where it listens")??;
        let profile = tempfile::tempdir()?;
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--no-first-run",
            "--disable-background-networking",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let options = json!({"args": arguments, "prefs": {"intl.accept_languages": language}});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}}}});
        let http = reqwest::Client::builder().no_proxy().build()?;
        let root = format!("http://127.0.0.1:{port}/session");
        let session = ask(http.post(&root).json(&wanted)).await?;
        let id = session["sessionId"].as_str().context("there is no session")?;
        let session = format!("{root}/{id}");
        let browser = Browser { http, session, child, _profile: profile };
        let patience = u64::try_from(PATIENCE.as_millis())?;
        browser.post("timeouts", json!({"pageLoad": patience, "script": patience})).await?;
        Ok(browser)
    }

    /// Says something to the browser.
    async fn post(&self, command: &str, parameters: Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}/{command}", self.session));
        ask(request.json(&parameters)).await
    }

    /// Asks the browser something.
    async fn get(&self, question: &str) -> anyhow::Result<Value> {
        ask(self.http.get(format!("{}/{question}", self.session))).await
    }

    /// Says something to the developer tools.
    pub async fn devtools(&self, command: &str, parameters: Value) -> anyhow::Result<Value> {
        self.post("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// Makes the window this large, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await?;
        Ok(())
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        let opened = self.post("url", json!({"url": url})).await;
        opened.map(|_| ()).with_context(|| format!("{url} cannot be opened"))
    }

    /// The address of the page.
    pub async fn url(&self) -> anyhow::Result<String> {
        Ok(self.get("url").await?.as_str().unwrap_or_default().to_owned())
    }

    /// Signs in by the link that a server has printed, and waits for the overview.
    pub async fn sign_in(&self, link: &str) -> anyhow::Result<()> {
        self.open(link).await?;
        self.click("form button").await?;
        self.holds("document.querySelector('#main') !== null").await
    }

    /// Keeps a cookie for the site of the page.
    pub async fn add_cookie(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let cookie = json!({"cookie": {"name": name, "value": value, "path": "/"}});
        self.post("cookie", cookie).await.map(|_| ())
    }

    /// What a script gives back.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// What a script hands to its last argument, a function.
    pub async fn run_to_end(&self, script: &str) -> anyhow::Result<Value> {
        self.post("execute/async", json!({"script": script, "args": []})).await
    }

    /// The element that `css` names, once it is there.
    async fn find(&self, css: &str) -> anyhow::Result<String> {
        until(&format!("an element {css}"), async || {
            let found = self.post("elements", json!({"using": "css selector", "value": css}));
            let found = found.await?;
            Ok(found[0][ELEMENT].as_str().map(str::to_owned))
        })
        .await
    }

    /// Clicks on the element that `css` names.
    pub async fn click(&self, css: &str) -> anyhow::Result<()> {
        let element = self.find(css).await?;
        let clicked = self.post(&format!("element/{element}/click"), json!({})).await;
        clicked.map(|_| ()).with_context(|| format!("{css} cannot be clicked on"))
    }

    /// Writes into the element that `css` names.
    pub async fn write(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let element = self.find(css).await?;
        let written = self.post(&format!("element/{element}/value"), json!({"text": text})).await;
        written.map(|_| ()).with_context(|| format!("{css} cannot be written into"))
    }

    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: char) -> anyhow::Result<()> {
        // A browser drops what is pressed before it has painted the page for the first time.
        let painted = "performance.getEntriesByName('first-contentful-paint').length > 0";
        self.holds(painted).await?;
        let key = key.to_string();
        let presses = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"actions": [{"type": "key", "id": "keys", "actions": presses}]});
        self.post("actions", keyboard).await.map(|_| ())
    }

    /// Presses a key while another one is held.
    pub async fn press_with(&self, held: char, key: char) -> anyhow::Result<()> {
        let one = |kind: &str, key: char| json!({"type": kind, "value": key.to_string()});
        let presses =
            [one("keyDown", held), one("keyDown", key), one("keyUp", key), one("keyUp", held)];
        let keyboard = json!({"actions": [{"type": "key", "id": "keys", "actions": presses}]});
        self.post("actions", keyboard).await.map(|_| ())
    }

    /// Drags from one place of the window to another, in CSS pixels: `with` is `mouse` or `touch`.
    pub async fn drag(&self, with: &str, from: (i64, i64), to: (i64, i64)) -> anyhow::Result<()> {
        let moves =
            |(x, y): (i64, i64)| json!({"type": "pointerMove", "x": x, "y": y, "duration": 100});
        let half = ((from.0 + to.0) / 2, (from.1 + to.1) / 2);
        let does = json!([moves(from), {"type": "pointerDown", "button": 0}, moves(half), moves(to),
            {"type": "pointerUp", "button": 0}]);
        let pointer = json!({"type": "pointer", "id": with, "parameters": {"pointerType": with},
            "actions": does});
        self.post("actions", json!({"actions": [pointer]})).await.map(|_| ())
    }

    /// Waits until a script gives `true`.
    pub async fn holds(&self, script: &str) -> anyhow::Result<()> {
        until(script, async || {
            // While a page goes and the next one comes, there is nothing to ask.
            let value = self.run(&format!("return ({script})")).await.unwrap_or_default();
            Ok((value == Value::Bool(true)).then_some(()))
        })
        .await
    }

    /// Waits until the page shows a text.
    pub async fn shows(&self, text: &str) -> anyhow::Result<()> {
        self.holds(&format!("document.body.innerText.includes({})", json!(text))).await
    }

    /// A picture of the window, as PNG.
    pub async fn picture(&self) -> anyhow::Result<Vec<u8>> {
        let picture = self.get("screenshot").await?;
        let text = picture.as_str().context("there is no picture")?;
        Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
    }

    /// What the browser complained about since it was last asked: errors of scripts, refusals of
    /// the security policy, files that are not there.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let log = self.post("se/log", json!({"type": "browser"})).await?;
        let severe = log.as_array().into_iter().flatten().filter(|one| one["level"] == "SEVERE");
        Ok(severe.map(|one| one["message"].to_string()).collect())
    }

    /// Ends it.
    pub async fn close(mut self) -> anyhow::Result<()> {
        ask(self.http.delete(&self.session)).await?;
        self.child.kill().await?;
        Ok(())
    }
}

/// One request of the protocol, and its value.
async fn ask(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.timeout(PATIENCE * 2).send().await?;
    let (ok, mut body) = (answer.status().is_success(), answer.json::<Value>().await?);
    if !ok {
        bail!("the browser refused: {}", body["value"]["message"]);
    }
    Ok(body["value"].take())
}

/// Looks until `found` finds something, for a long while.
pub async fn until<T, F>(what: &str, found: F) -> anyhow::Result<T>
where
    F: AsyncFn() -> anyhow::Result<Option<T>>,
{
    let look = async {
        loop {
            if let Some(found) = found().await? {
                return Ok(found);
            }
            tokio::time::sleep(OFTEN).await;
        }
    };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(found) => found,
        Err(_) => bail!("{what} did not come within {} seconds", PATIENCE.as_secs()),
    }
}

/// The port that chromedriver took.
async fn port(child: &mut Child) -> anyhow::Result<u16> {
    let out = child.stdout.take().context("chromedriver has no output")?;
    let mut lines = BufReader::new(out).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, rest)) = line.split_once("started successfully on port ") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            // Whatever else it says is read, so that it never waits for a reader.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(digits.parse()?);
        }
    }
    bail!("chromedriver ended before it listened")
}
