//! Signing in with a provider of identities: one that does what a test tells it, and a real one.

mod forged;
mod real;
mod returning;
mod roles;
mod who;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use runledger::limits::Peer;
use runledger::oidc::Provider;
use runledger::settings::{OidcSettings, Secret};
use runledger_ledger::clock::Entropy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::HOST;
use super::people::address;
use crate::service::{Reply, Service};

/// What the button says.
const CALLED: &str = "Work & Co";
/// What proves to the provider that it is this server.
const SECRET: &str = "hush: 100%";
/// Somebody, as the provider calls them.
const ADA: &str = "248289761001";

/// A provider that says and signs what a test wants.
#[derive(Clone)]
struct Made {
    issuer: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    keys: Vec<(String, EcdsaKeyPair)>,
    published: Value,
    keys_read: usize,
    tokens_asked: usize,
    /// What the token endpoint answers instead of a token.
    answer: Option<(StatusCode, String)>,
    token: String,
    challenge: String,
    /// Members of the discovery document that are otherwise.
    metadata: Value,
    gone: bool,
}

impl Made {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner {
            keys: Vec::new(),
            published: json!({"keys": []}),
            keys_read: 0,
            tokens_asked: 0,
            answer: None,
            token: String::new(),
            challenge: String::new(),
            metadata: json!({}),
            gone: false,
        };
        let made = Made { issuer, inner: Arc::new(Mutex::new(inner)) };
        made.new_key("one", true);
        let router = axum::Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(made.clone());
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await });
        made
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Makes a key that signs from now on, and publishes it alone.
    fn new_key(&self, id: &str, published: bool) {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let part = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id,
            "x": part(x), "y": part(y)});
        let mut inner = self.inner();
        if published {
            inner.published = json!({"keys": [key, {"kty": "oct", "kid": id, "k": "c2VjcmV0"}]});
        }
        inner.keys.push((id.to_owned(), pair));
    }

    /// A token with these claims, signed with the newest key.
    fn sign(&self, claims: &Value) -> String {
        let inner = self.inner();
        let (id, pair) = inner.keys.last().unwrap();
        let signed = parts(&json!({"alg": "ES256", "kid": id}), claims);
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// Says how the settings name it.
    fn settings(&self) -> OidcSettings {
        let public = format!("http://{HOST}");
        let mut settings = OidcSettings::of(&self.issuer, "runledger", &public).unwrap();
        settings.client_secret = Some(Secret::new(SECRET.to_owned()));
        settings.name = CALLED.to_owned();
        settings
    }

    /// Lets a service believe it.
    fn believed_by(&self, service: &Service, settings: OidcSettings) {
        let provider = Provider::new(settings, Entropy::seeded(3)).unwrap();
        service.app.set_provider(provider);
    }

    /// What it says of somebody who signs in now.
    fn claims(&self, service: &Service, flow: &Flow, subject: &str) -> Value {
        let now = service.clock.now().micros() / 1_000_000;
        json!({"iss": self.issuer, "aud": "runledger", "sub": subject, "nonce": flow.nonce,
            "iat": now, "exp": now + 300})
    }

    /// Lets somebody sign in there with these claims, and brings the browser back.
    async fn sign_in(&self, service: &Service, flow: &Flow, claims: &Value) -> Reply {
        let token = self.sign(claims);
        self.answer_with(flow, token);
        flow.come_back(service, &[("code", "c"), ("state", &flow.state)]).await
    }

    fn answer_with(&self, flow: &Flow, token: String) {
        let mut inner = self.inner();
        inner.token = token;
        inner.challenge.clone_from(&flow.challenge);
    }
}

fn parts(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

async fn discovery(State(made): State<Made>) -> (StatusCode, String) {
    let inner = made.inner();
    let issuer = &made.issuer;
    let mut told = json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?x=1"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "authorization_response_iss_parameter_supported": false});
    for (name, value) in inner.metadata.as_object().unwrap() {
        told[name] = value.clone();
    }
    match inner.gone {
        true => (StatusCode::BAD_GATEWAY, "<h1>none</h1>".to_owned()),
        false => (StatusCode::OK, told.to_string()),
    }
}

async fn keys(State(made): State<Made>) -> String {
    let mut inner = made.inner();
    inner.keys_read += 1;
    inner.published.to_string()
}

/// Gives the token to whoever proves to be this server, and to have begun this sign-in.
async fn token(State(made): State<Made>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let mut inner = made.inner();
    inner.tokens_asked += 1;
    if let Some(answer) = &inner.answer {
        return answer.clone();
    }
    let form = query(&format!("http://form/?{}", String::from_utf8(body.to_vec()).unwrap()));
    let basic = STANDARD.encode("runledger:hush%3A+100%25");
    assert_eq!(headers[header::AUTHORIZATION], format!("Basic {basic}"));
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["redirect_uri"], format!("http://{HOST}/sign-in/openid/callback"));
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    if challenge != inner.challenge {
        return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string());
    }
    let answer = json!({"access_token": "a", "token_type": "Bearer", "id_token": inner.token});
    (StatusCode::OK, answer.to_string())
}

fn query(url: &str) -> BTreeMap<String, String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// A browser that is at the provider.
#[derive(Clone, Debug)]
struct Flow {
    cookie: String,
    url: String,
    state: String,
    nonce: String,
    challenge: String,
    at: u8,
}

impl Flow {
    /// Begins a sign-in.
    async fn begin(service: &Service, next: &str) -> Self {
        let mut url = Url::parse("http://a/sign-in/openid").unwrap();
        url.query_pairs_mut().append_pair("next", next);
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let reply = browse(service, &path, "", 1).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
        let to = reply.headers[header::LOCATION].to_str().unwrap().to_owned();
        Flow::of(&reply, &to)
    }

    /// The one that an answer hands a browser.
    fn of(reply: &Reply, to: &str) -> Self {
        let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let asked = query(to);
        let of = |name: &str| asked[name].clone();
        let (state, nonce) = (of("state"), of("nonce"));
        let challenge = of("code_challenge");
        Flow { cookie, url: to.to_owned(), state, nonce, challenge, at: 1 }
    }

    /// Comes back with this query.
    async fn come_back(&self, service: &Service, query: &[(&str, &str)]) -> Reply {
        let path = callback(query);
        let reply = browse(service, &path, &self.cookie, self.at).await;
        let taken = reply.headers.get_all(header::SET_COOKIE).iter().any(|cookie| {
            let cookie = cookie.to_str().unwrap();
            cookie.starts_with("runledger-openid=;") && cookie.contains("Max-Age=0")
        });
        assert!(taken, "what was kept for the way back is taken with every answer: {reply:?}");
        reply
    }
}

fn callback(query: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://a/sign-in/openid/callback").unwrap();
    url.query_pairs_mut().extend_pairs(query);
    format!("{}?{}", url.path(), url.query().unwrap())
}

async fn browse(service: &Service, path: &str, cookie: &str, at: u8) -> Reply {
    let request = Request::get(path).header(header::HOST, HOST).header(header::COOKIE, cookie);
    let request = request.header("sec-fetch-site", "cross-site").extension(Peer(address(at)));
    service.browse(request.body(Body::empty()).unwrap()).await
}

/// The cookie of the session that an answer begins; none if it begins none.
fn session(reply: &Reply) -> Option<String> {
    let cookies = reply.headers.get_all(header::SET_COOKIE).iter();
    let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
    let session = cookies.find(|cookie| cookie.starts_with("runledger-7300="))?;
    Some(session.split(';').next().unwrap().to_owned())
}

/// The text of a page that lets nobody in.
#[track_caller]
fn refused(reply: &Reply, status: u16) -> String {
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    assert_eq!(reply.status.as_u16(), status, "{text}");
    assert_eq!(session(reply), None, "nobody may be let in: {text}");
    assert!(text.contains("role=\"alert\""), "it says what happened: {text}");
    text
}

/// The page of whoever has a session.
async fn account(service: &Service, cookie: &str) -> Reply {
    browse(service, "/account", cookie, 1).await
}

/// The events of `main` from a position: who, what, data.
async fn recorded(service: &Service, from: u64) -> Vec<(String, String, Value)> {
    let reply = service.get(&format!("/v1/workspaces/main/log?from={from}")).await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let told = |event: Value| {
        let event = &event["event"];
        (word(&event["actor"]["id"]), word(&event["type"]), event["data"].clone())
    };
    events.map(told).collect()
}

/// Makes somebody whom the provider knows.
async fn add(service: &Service, name: &str, subject: &str) {
    let new = json!({"name": name, "subject": subject, "reason": "joins"});
    service.post_json("/v1/people", &new).await.ok(201);
}
