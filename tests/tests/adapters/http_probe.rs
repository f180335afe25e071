//! The HTTP probe against a service that answers what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use runledger_adapters::adapter::Case;
use runledger_adapters::built_in;
use runledger_adapters::conformance::check;
use runledger_adapters::probe::Probes;
use runledger_adapters::registry::{Judged, Registry};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::words::Name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stand::{all_said, run_of};

/// A service that answers each fingerprint in its own way, and remembers what it was asked for.
struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, address, Arc::clone(&remembered)));
            }
        });
        Service { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn registry(&self, host: &str, allow_private: bool) -> Registry {
        let scheme = if allow_private { "http" } else { "https" };
        let base = format!("{scheme}://{host}:{}", self.address.port());
        let probes = PROBE.replace("BASE", &base).replace("ALLOW", &allow_private.to_string());
        let probes = Probes::parse(&probes).unwrap();
        let registry = probes.register(built_in(None), None).unwrap();
        registry.build(&Catalog::built_in()).unwrap()
    }

    async fn judge(&self, fingerprints: &[&str]) -> Vec<Judged> {
        let cases = fingerprints.iter().map(|one| checking(one)).collect();
        self.registry("localhost", true).judge(cases).await
    }
}

const PROBE: &str = r#"
[[http]]
name = "connections"
version = 1
operations = ["provider.connection.check"]
url = "BASE/{workspace}/{environment}/checks/{fingerprint}"
allow_private = ALLOW
value = "/check/state"
related = { type = "connection", from = "/id" }
evidence = { state = "state" }
pointers = { state = "/check/state" }

[[http.means]]
value = "ok"
decision = "succeeded"
reason = "connection_is_up"
observe = "healthy"

[[http.means]]
value = "down"
decision = "failed"
reason = "connection_is_down"
observe = "unhealthy"
"#;

fn checking(fingerprint: &str) -> Case {
    let mut case = run_of("provider.connection.check");
    case.run.fingerprint = Some(Name::new(fingerprint).unwrap());
    case
}

async fn answer(mut stream: TcpStream, address: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(path.clone());
    let json =
        |state: &str| format!(r#"{{"id": 7, "check": {{"state": "{state}"}}, "secret": "x"}}"#);
    let (head, body) = match path.rsplit('/').next().unwrap() {
        "moved" => {
            (format!("302 Found\r\nLocation: http://{address}/a/b/checks/ok"), String::new())
        }
        "gone" => ("404 Not Found".to_owned(), json("ok")),
        "refused" => ("403 Forbidden".to_owned(), json("ok")),
        "error" => ("500 Internal Server Error".to_owned(), json("ok")),
        "text" => ("200 OK".to_owned(), "ok".to_owned()),
        "huge" => ("200 OK".to_owned(), format!("{}{}", " ".repeat(70_000), json("ok"))),
        "nested" => ("200 OK".to_owned(), r#"{"check": {"state": {"state": "ok"}}}"#.to_owned()),
        state => ("200 OK".to_owned(), json(state)),
    };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // A probe that has read enough goes away: that is no failure of the service.
    let _ = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn a_probe_keeps_the_contract_and_judges_what_the_service_says() {
    let service = Service::start().await;
    assert_eq!(check(&service.registry("localhost", true)).await, []);
    assert_eq!(service.asked(), Vec::<String>::new(), "the kit asks nobody");
    let judged = service.judge(&["ok", "down", "odd", "gone", "nested"]).await;
    assert_eq!(
        all_said(&judged),
        [
            "succeeded connection_is_up connection/7",
            "failed connection_is_down connection/7",
            "needs_attention value_without_a_meaning -",
            "no_change nothing_found -",
            "needs_attention value_without_a_meaning -",
        ]
    );
    let ruling = judged[0].ruling().unwrap();
    assert!(ruling.commands.observe.is_some());
    assert!(!ruling.gathered.to_string().contains("secret"), "only what is named is kept");
}

#[tokio::test]
async fn a_service_that_does_not_answer_decides_nothing() {
    let service = Service::start().await;
    for (way, class) in [
        ("error", "unavailable"),
        ("refused", "refused"),
        ("moved", "refused"),
        ("text", "malformed"),
        ("huge", "malformed"),
    ] {
        assert_eq!(all_said(&service.judge(&[way]).await), [class], "{way}");
    }
    assert!(!service.asked().contains(&"/a/b/checks/ok".to_owned()), "a redirect was followed");
    // One that fails leaves the others alone.
    let judged = service.judge(&["error", "ok"]).await;
    let wanted = ["no_change source_did_not_answer -", "succeeded connection_is_up connection/7"];
    assert_eq!(all_said(&judged), wanted);
}

#[tokio::test]
async fn a_host_with_private_addresses_is_refused_unless_it_is_allowed() {
    let service = Service::start().await;
    let judged = service.registry("localhost", false).judge(vec![checking("ok")]).await;
    assert_eq!(all_said(&judged), ["refused"]);
    assert_eq!(service.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_run_says_stays_one_piece_of_the_address() {
    let service = Service::start().await;
    for hostile in ["../../../admin", "a/b?x=1#y", "..", ".", "@evil.example", "%2e%2e"] {
        service.judge(&[hostile]).await;
    }
    let asked = service.asked();
    assert_eq!(asked.len(), 4, "`..` and `.` are not asked for: {asked:?}");
    for path in asked {
        assert!(path.starts_with("/main/production/checks/"), "{path}");
        assert_eq!(path.matches('/').count(), 4, "{path}");
        assert!(!path.contains('?'), "{path}");
    }
}
