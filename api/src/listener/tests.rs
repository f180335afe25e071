use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3600);
/// What a test expects within this time comes, or it fails.
const IN_TIME: Duration = Duration::from_secs(60);

const PATIENT: Limits = Limits { connections: 100, head: NEVER, stall: NEVER, turn: NEVER };

/// A listener, how to stop it, and its end.
struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<()>,
}

async fn run(router: Router, limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let ended = tokio::spawn(serve(listener, router, limits, stopped));
    Running { address, stop, ended }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn end(self) {
        self.stop.send_replace(true);
        in_time(self.ended).await.unwrap();
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(IN_TIME, what).await.expect("it never comes")
}

/// Asks, leaves the connection open, and gives the answer, which must have the body `yes`.
async fn ask(connection: &mut TcpStream) -> String {
    connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"yes") {
        let read = in_time(connection.read_buf(&mut answer)).await.unwrap();
        assert!(read > 0, "cut off after {:?}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

fn yes() -> Router {
    Router::new().route("/", get(async || "yes"))
}

/// A route that says when it is asked, and answers when it is told to.
fn slow() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (asked, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_asked, is_told) = (asked.clone(), told.clone());
    let answer = async move || {
        is_asked.notify_one();
        is_told.notified().await;
        "yes"
    };
    (Router::new().route("/", get(answer)), asked, told)
}

#[tokio::test]
async fn a_client_that_trickles_its_head_is_cut_and_takes_nothing_from_the_others() {
    let limits = Limits { head: Duration::from_millis(300), ..PATIENT };
    let running = run(yes(), limits).await;
    let (mut read, mut write) = running.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        // It ends when the server has hung up.
        while write.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    ask(&mut running.connect().await).await;
    let mut answer = Vec::new();
    // Either end of it: bytes that the server has not read make it a reset.
    let _ = in_time(read.read_to_end(&mut answer)).await;
    assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    in_time(trickle).await.unwrap();
    running.end().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_as_one_that_says_nothing_more() {
    let limits = Limits { head: Duration::from_millis(300), ..PATIENT };
    let running = run(yes(), limits).await;
    let (mut silent, mut idle) = (running.connect().await, running.connect().await);
    ask(&mut idle).await;
    for connection in [&mut silent, &mut idle] {
        assert_eq!(in_time(connection.read_to_end(&mut Vec::new())).await.unwrap(), 0);
    }
    running.end().await;
}

#[tokio::test]
async fn beyond_the_limit_connections_wait_and_all_are_answered() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (count, peak) = (now.clone(), most.clone());
    let answer = async move || {
        peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        count.fetch_sub(1, Ordering::SeqCst);
        "yes"
    };
    let limits = Limits { connections: 3, ..PATIENT };
    let running = run(Router::new().route("/", get(answer)), limits).await;
    let clients = (0..40).map(|_| {
        let address = running.address;
        tokio::spawn(async move {
            let mut connection = TcpStream::connect(address).await.unwrap();
            ask(&mut connection).await
        })
    });
    for client in clients.collect::<Vec<_>>() {
        in_time(client).await.unwrap();
    }
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    running.end().await;
}

#[tokio::test]
async fn who_has_had_a_turn_makes_room_for_who_waits_and_never_in_the_middle_of_an_answer() {
    let (router, asked, told) = slow();
    let limits = Limits { connections: 1, turn: Duration::ZERO, ..PATIENT };
    let running = run(router, limits).await;
    let mut first = running.connect().await;
    let (answer, mut second) = tokio::join!(ask(&mut first), async {
        in_time(asked.notified()).await;
        let second = running.connect().await;
        told.notify_one();
        second
    });
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // The first one keeps its connection open and asks no more.
    told.notify_one();
    ask(&mut second).await;
    assert_eq!(in_time(first.read_to_end(&mut Vec::new())).await.unwrap(), 0);
    running.end().await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    struct Gone(Arc<Notify>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let gone = Arc::new(Notify::new());
    let noticed = gone.clone();
    let answer = async move || {
        let gone = Gone(noticed);
        Body::from_stream(futures::stream::repeat_with(move || {
            let _held = &gone;
            Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 65_536]))
        }))
    };
    let limits = Limits { stall: Duration::from_millis(300), ..PATIENT };
    let running = run(Router::new().route("/", get(answer)), limits).await;
    let mut connection = running.connect().await;
    connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    in_time(gone.notified()).await;
    running.end().await;
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_end_and_nothing_new_is_taken() {
    let (router, asked, told) = slow();
    let running = run(router, PATIENT).await;
    let mut idle = running.connect().await;
    let mut connection = running.connect().await;
    connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    in_time(asked.notified()).await;
    running.stop.send_replace(true);
    assert_eq!(in_time(idle.read_to_end(&mut Vec::new())).await.unwrap(), 0);
    assert!(!running.ended.is_finished(), "somebody is still to be answered");
    told.notify_one();
    let mut answer = String::new();
    in_time(connection.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("yes"), "{answer}");
    let address = running.address;
    running.end().await;
    assert!(TcpStream::connect(address).await.is_err());
}
