//! Tokens that scanners report as found.

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rstest::rstest;
use runledger::scanners::Scanners;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::service::{Database, Reply, Service, TOKEN};
use crate::web::signed_in;

const PATH: &str = "/v1/secret-scanning";

/// A scanner with a key of its own.
struct Scanner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Scanner {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Scanner { pair, random }
    }

    /// Its key, as scanners publish theirs.
    fn published(&self) -> Scanners {
        let prefix = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
        let der = [&prefix[..], self.pair.public_key().as_ref()].concat();
        let key = STANDARD.encode(der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
        let keys = json!({"public_keys": [{"key_identifier": "one", "key": pem}]});
        Scanners::parse(keys.to_string().as_bytes()).unwrap()
    }

    async fn report(&self, service: &Service, key: &str, body: &str) -> Reply {
        let signature = self.pair.sign(&self.random, body.as_bytes()).unwrap();
        let request = Request::post(PATH)
            .header("Github-Public-Key-Identifier", key)
            .header("Github-Public-Key-Signature", STANDARD.encode(signature));
        service.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

async fn status(service: &Service, token: &str) -> u16 {
    let request = Request::get("/v1/workspaces");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    service.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_token_that_was_found_is_revoked_at_once_and_the_log_says_where(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let scanner = Scanner::new();
    service.app.set_scanners(scanner.published());
    let new = json!({"name": "ci", "role": "reporter", "reason": "reports"});
    let made = service.post_json("/v1/workspaces/main/tokens", &new).await.ok(201);
    let token = made["token"].as_str().unwrap();
    assert_eq!(status(&service, token).await, 200);
    let mut other = token.to_owned();
    // Of the right form, but for its checksum.
    other.replace_range(10..11, if &token[10..11] == "a" { "b" } else { "a" });
    let found = |token: &str| {
        json!({"token": token, "type": "runledger_token", "source": "content",
            "url": format!("https://example.org/blob/{}?t={token}", "x".repeat(500))})
    };
    let report = json!([found(&other), found(token), found("")]).to_string();
    let labels = scanner.report(&service, "one", &report).await.ok(200);
    let labelled = |token: &str, label: &str| {
        let hash = hex::encode(Sha256::digest(token));
        json!({"token_hash": hash, "token_type": "runledger_token", "label": label})
    };
    let (no, yes) = ("false_positive", "true_positive");
    assert_eq!(labels, json!([labelled(&other, no), labelled(token, yes), labelled("", no)]));
    assert_eq!(status(&service, token).await, 401);
    let log = service.get("/v1/workspaces/main/log?from=2").await;
    let text = String::from_utf8(log.body.to_vec()).unwrap();
    assert!(!text.contains(token), "the log never holds a token");
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let event = &last["event"];
    assert_eq!(
        (&event["type"], &event["actor"]["id"]),
        (&json!("token.revoked"), &json!("secret-scanning"))
    );
    assert_eq!(event["data"]["holder"], "ci");
    let reason = event["data"]["reason"].as_str().unwrap();
    let begin = "found by secret scanning in content at https://example.org/blob/xxx";
    assert!(reason.starts_with(begin) && reason.len() < 310, "{reason}");
    // Found again, it is none any more, and nothing is recorded.
    let size = service.size().await;
    let again = scanner.report(&service, "one", &json!([found(token)]).to_string()).await;
    assert_eq!(again.ok(200)[0]["label"], no);
    assert_eq!(service.size().await, size);
}

#[tokio::test]
async fn the_administrators_own_token_is_replaced_where_it_was_found() {
    let service = Service::on(Database::Sqlite).await;
    let scanner = Scanner::new();
    service.app.set_scanners(scanner.published());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("admin-token");
    std::fs::write(&file, TOKEN).unwrap();
    service.app.set_token_file(file.clone());
    let cookie = signed_in(&service).await;
    let page = async || {
        let page = Request::get("/w/main").header(header::HOST, "127.0.0.1:7300");
        let page = page.header(header::COOKIE, &cookie).body(Body::empty()).unwrap();
        service.browse(page).await.status.as_u16()
    };
    assert_eq!(page().await, 200);
    let size = service.size().await;
    let report = json!([{"token": TOKEN, "type": "runledger_admin"}]).to_string();
    let labels = scanner.report(&service, "one", &report).await.ok(200);
    assert_eq!(labels[0]["label"], "true_positive");
    assert_eq!(status(&service, TOKEN).await, 401, "from the next request on");
    assert_eq!(page().await, 303, "and nobody who came in with it stays");
    let new = std::fs::read_to_string(&file).unwrap();
    assert_eq!(status(&service, new.trim()).await, 200);
    assert_eq!(service.size().await, size + 1);
    let read = Request::get(format!("/v1/workspaces/main/log?from={size}"));
    let read = read.header(header::AUTHORIZATION, format!("Bearer {}", new.trim()));
    let log = service.send(read.body(Body::empty()).unwrap()).await.json();
    assert_eq!(log["event"]["type"], "token.revoked");
    assert_eq!(log["event"]["data"]["holder"], "administrator");
    let again = scanner.report(&service, "one", &report).await.ok(200);
    assert_eq!(again[0]["label"], "false_positive");
}

#[tokio::test]
async fn nobody_reports_without_a_key_that_is_named_here() {
    let service = Service::on(Database::Sqlite).await;
    let scanner = Scanner::new();
    let off = scanner.report(&service, "one", "[]").await;
    assert_eq!(off.problem(404), "no_such_route");
    service.app.set_scanners(scanner.published());
    assert_eq!(scanner.report(&service, "one", "[]").await.ok(200), json!([]));
    assert_eq!(scanner.report(&service, "two", "[]").await.problem(403), "not_signed");
    assert_eq!(Scanner::new().report(&service, "one", "[]").await.problem(403), "not_signed");
    let unsigned = Request::post(PATH).body(Body::from("[]")).unwrap();
    assert_eq!(service.send(unsigned).await.problem(403), "not_signed");
    assert_eq!(scanner.report(&service, "one", "{}").await.problem(422), "invalid_body");
    let many = json!(vec![json!({"token": "x"}); 1_001]).to_string();
    assert_eq!(scanner.report(&service, "one", &many).await.problem(413), "too_many_tokens");
    let large = " ".repeat(1024 * 1024 + 1);
    assert_eq!(scanner.report(&service, "one", &large).await.problem(413), "body_too_large");
}
