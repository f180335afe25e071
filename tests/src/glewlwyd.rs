//! A real provider of identities (OpenID Connect) in a process of its own, with a database and a key that
//! last as long as a test. From the Debian package `glewlwyd`; `cargo test-all` sees to it.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The statements that make an empty database, as the package brings them.
const TABLES: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
/// Where its modules lie.
const MODULES: &str = "/usr/lib/glewlwyd";
/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How long is waited before it is looked again whether it takes connections.
const PAUSE: Duration = Duration::from_millis(20);
/// How often another port is tried, if somebody else took the one that was free.
const PORTS: usize = 5;
/// The password of its administrator in an empty database.
const PASSWORD: &str = "password";

/// A running provider. Dropping it kills it.
#[derive(Debug)]
pub struct Glewlwyd {
    _child: Child,
    _home: TempDir,
    http: Client,
    api: String,
    administrator: String,
    /// What it calls itself.
    pub issuer: String,
}

/// Whether what it needs is on this machine.
pub fn is_here() -> bool {
    Path::new(TABLES).is_file() && Path::new("/usr/bin/glewlwyd").is_file()
}

impl Glewlwyd {
    /// Starts it, with a client that has a secret and comes back to `callback`.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start(client: &str, secret: &str, callback: &str) -> anyhow::Result<Self> {
        ensure!(is_here(), "this test needs the Debian package `glewlwyd`");
        // Another part of the process may have chosen already; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut last = String::new();
        for _ in 0..PORTS {
            let home = tempfile::tempdir()?;
            // Nobody keeps it: another one is tried if somebody is faster.
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let child = match spawn(home.path(), port).await? {
                Ok(child) => child,
                Err(said) => {
                    last = said;
                    continue;
                }
            };
            let api = format!("http://127.0.0.1:{port}/api");
            let http = Client::builder().redirect(redirect::Policy::none()).build()?;
            let (issuer, administrator) = (format!("{api}/oidc"), String::new());
            let (_child, _home) = (child, home);
            let mut made = Glewlwyd { _child, _home, http, api, administrator, issuer };
            match made.set_up(client, secret, callback).await {
                Ok(()) => return Ok(made),
                // Perhaps it is somebody else who answers there.
                Err(error) => last = format!("{error:#}"),
            }
        }
        bail!("glewlwyd does not start: {last}")
    }

    /// Makes somebody who is in these groups.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn add(&self, name: &str, password: &str, groups: &[&str]) -> anyhow::Result<()> {
        let user = json!({"username": name, "password": password, "enabled": true,
            "email": format!("{name}@example.com"), "scope": ["openid"], "groups": groups});
        self.administrate(Method::POST, "user/", Some(&user)).await
    }

    /// Signs with another key from now on, and publishes that one alone.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn change_key(&self) -> anyhow::Result<()> {
        let plugin = plugin(&self.issuer).await?;
        self.administrate(Method::PUT, "mod/plugin/oidc", Some(&plugin)).await?;
        self.administrate(Method::PUT, "mod/plugin/oidc/reset", None).await
    }

    /// What a browser of somebody does there who signs in and agrees: where it is sent back to.
    ///
    /// # Errors
    /// When it sends nobody back.
    pub async fn agree(
        &self,
        name: &str,
        password: &str,
        client: &str,
        url: &str,
    ) -> anyhow::Result<String> {
        let session = self.session(name, password).await?;
        let grant = json!({"scope": "openid"});
        let path = format!("auth/grant/{client}");
        self.send(Method::PUT, &path, &session, Some(&grant)).await?;
        let request = self.http.get(format!("{url}&g_continue")).header(COOKIE, session);
        let answer = request.send().await?;
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        to.map(str::to_owned).with_context(|| format!("it answers {}", answer.status()))
    }

    /// The cookie of somebody who signs in there.
    async fn session(&self, name: &str, password: &str) -> anyhow::Result<String> {
        let body = json!({"username": name, "password": password});
        let request = self.http.post(format!("{}/auth/", self.api));
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        let answer = request.send().await?;
        let cookie = answer.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.with_context(|| format!("{name} cannot sign in there"))?;
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    }

    async fn set_up(&mut self, client: &str, secret: &str, callback: &str) -> anyhow::Result<()> {
        self.administrator = self.session("admin", PASSWORD).await?;
        // People have groups.
        let path = format!("{}/mod/user/database", self.api);
        let answer = self.http.get(path).header(COOKIE, &self.administrator).send().await?;
        let mut people: Value = answer.json().await?;
        people["parameters"]["data-format"]["groups"] =
            json!({"multiple": true, "read": true, "write": true});
        self.administrate(Method::PUT, "mod/user/database", Some(&people)).await?;
        self.administrate(Method::PUT, "mod/user/database/reset", None).await?;
        let plugin = plugin(&self.issuer).await?;
        self.administrate(Method::POST, "mod/plugin/", Some(&plugin)).await?;
        let client = json!({"client_id": client, "name": client, "enabled": true,
            "confidential": true, "password": secret, "client_secret": secret,
            "token_endpoint_auth_method": ["client_secret_basic"], "redirect_uri": [callback],
            "authorization_type": ["code"], "scope": []});
        self.administrate(Method::POST, "client/", Some(&client)).await
    }

    async fn administrate(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<()> {
        self.send(method, path, &self.administrator, body).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        session: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<()> {
        let mut request = self.http.request(method, format!("{}/{path}", self.api));
        request = request.header(COOKIE, session);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == StatusCode::OK, "{path}: {status} {text}");
        Ok(())
    }
}

/// The way of signing in, with a new key.
async fn plugin(issuer: &str) -> anyhow::Result<Value> {
    let private = openssl(&["genrsa", "2048"], "").await?;
    let public = openssl(&["rsa", "-pubout"], &private).await?;
    let groups = json!({"name": "groups", "type": "string", "user-property": "groups",
        "mandatory": true, "on-demand": false});
    Ok(json!({"module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": true,
    "parameters": {
        "iss": issuer, "jwt-type": "rsa", "jwt-key-size": "256", "key": private,
        "cert": public, "code-duration": 600, "access-token-duration": 3600,
        "refresh-token-duration": 3600, "allow-non-oidc": false,
        "auth-type-code-enabled": true, "auth-type-client-enabled": false,
        "auth-type-token-enabled": false, "auth-type-implicit-enabled": false,
        "auth-type-password-enabled": false, "auth-type-refresh-enabled": false,
        "pkce-allowed": true, "pkce-required": true, "pkce-method-plain-allowed": false,
        "subject-type": "public", "oauth-as-iss-id": true, "claims": [groups],
    }}))
}

async fn openssl(arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().context("this test needs `openssl`")?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever reads nothing has gone already.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await;
    }
    Ok(String::from_utf8(child.wait_with_output().await?.stdout)?)
}

/// Starts it on a port, or gives what it said instead.
async fn spawn(home: &Path, port: u16) -> anyhow::Result<Result<Child, String>> {
    let database = home.join("glewlwyd.db");
    // What another try has left.
    let _ = std::fs::remove_file(&database);
    let tables = std::fs::File::open(TABLES)?;
    let mut command = Command::new("sqlite3");
    let filled = command.arg(&database).stdin(Stdio::from(tables)).status().await?;
    ensure!(filled.success(), "its database cannot be made");
    let file = home.join("glewlwyd.conf");
    std::fs::write(&file, configuration(home, &database, port))?;
    let mut command = Command::new("glewlwyd");
    command.arg("-c").arg(&file).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let out = child.stdout.take().context("it says nothing")?;
    let mut out = BufReader::new(out).lines();
    let mut said = String::new();
    let started = async {
        while let Some(line) = out.next_line().await? {
            if line.contains("started on port") {
                return Ok(true);
            }
            said = said.clone() + &line + "\n";
        }
        Ok::<bool, std::io::Error>(false)
    };
    let started = tokio::time::timeout(START, started).await.context("it takes too long")??;
    if !started || !listens(&mut child, port).await? {
        return Ok(Err(said));
    }
    // Whatever else it prints is taken, so that it never waits for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = out.next_line().await {} });
    Ok(Ok(child))
}

/// Waits until it takes connections, which it says that it does a moment before; false if it has ended
/// instead.
async fn listens(child: &mut Child, port: u16) -> anyhow::Result<bool> {
    let listens = async {
        loop {
            if child.try_wait()?.is_some() {
                return Ok(false);
            }
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(START, listens).await.context("it takes no connections")?
}

fn configuration(home: &Path, database: &Path, port: u16) -> String {
    let (home, database) = (home.display(), database.display());
    let modules = [
        ("user", "user"),
        ("client", "client"),
        ("user_auth_scheme", "scheme"),
        ("plugin", "plugin"),
    ];
    let modules = modules.map(|(name, at)| format!("{name}_module_path=\"{MODULES}/{at}\"\n"));
    format!(
        "port={port}\nbind_address=\"127.0.0.1\"\nexternal_url=\"http://127.0.0.1:{port}\"\n\
         login_url=\"login.html\"\napi_prefix=\"api\"\nstatic_files_path=\"{home}\"\n\
         log_mode=\"console\"\nlog_level=\"INFO\"\ncookie_secure=0\nsession_expiration=3600\n\
         session_key=\"S\"\nadmin_scope=\"g_admin\"\nprofile_scope=\"g_profile\"\n{}\
         use_secure_connection=false\nsecure_connection_key_file=\"none\"\n\
         secure_connection_pem_file=\"none\"\nsecure_connection_ca_file=\"none\"\n\
         hash_algorithm=\"SHA512\"\ndatabase = {{ type = \"sqlite3\"; path = \"{database}\" }};\n",
        modules.concat()
    )
}
