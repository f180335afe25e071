//! A server's start and end.

use std::net::SocketAddr;
use std::path::Path;

use runledger::limits::LimitSettings;
use runledger::server::Server;
use runledger::settings::{AdapterSettings, LogFormat, Settings};
use runledger_ledger::store::{Store, StoreUrl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

fn settings(data_dir: &Path) -> Settings {
    Settings {
        archive_after_days: None,
        archives: Vec::new(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: data_dir.to_owned(),
        database: StoreUrl::SqliteFile(data_dir.join("ledger.db")),
        log: "info".to_owned(),
        log_format: LogFormat::Text,
        connections: 100,
        catalog: None,
        workspace: "main".parse().unwrap(),
        waived: Vec::new(),
        witnesses: None,
        limits: LimitSettings::default(),
        scanners: None,
        oidc: None,
        adapters: AdapterSettings::default(),
    }
}

#[tokio::test]
async fn what_is_in_flight_when_the_server_is_told_to_end_is_answered_and_durable() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let server = Server::start(&settings).await.unwrap();
    let address = server.address();
    let token = std::fs::read_to_string(settings.token_file()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));

    let body = r#"{"type":"run.dispatched","data":{"operation":"backup.create"}}"#;
    let head = format!(
        "POST /v1/workspaces/main/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        token.trim(),
        body.len()
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is in flight.
    let mut answer = [0; 25];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stop.send(()).unwrap();
    // The end has begun when nobody is listened to any more.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished());
    connection.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    running.await.unwrap().unwrap();

    let store = Store::open(&settings.database).await.unwrap();
    let main = store.workspace_by_name("main").await.unwrap().unwrap();
    assert_eq!(store.head(main).await.unwrap().unwrap().size(), 3);
}

#[tokio::test]
async fn a_second_start_finds_what_the_first_one_made() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir.path().join("data"));
    let mut made = Vec::new();
    for _ in 0..2 {
        let server = Server::start(&settings).await.unwrap();
        server.run(async {}).await.unwrap();
        let token = std::fs::read_to_string(settings.token_file()).unwrap();
        let store = Store::open(&settings.database).await.unwrap();
        made.push((token, store.workspaces().await.unwrap()));
        store.close().await;
    }
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0].1.len(), 1);
}

#[tokio::test]
async fn a_start_that_fails_says_at_what() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = dir.path().join("catalog.toml");
    std::fs::write(&catalog, "version = 9").unwrap();
    let settings = Settings { catalog: Some(catalog), ..settings(dir.path()) };
    let error = Server::start(&settings).await.unwrap_err();
    assert!(error.to_string().contains("catalog.toml"), "{error}");
}
