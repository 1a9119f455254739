//! A flight in the browser: a page on this machine shows it at the pace of the clock, and may steer it.
//!
//! The flight stays what it is, in lock-step: this is a [`Watcher`] that takes its time. A thread takes connections, one more
//! thread serves each; none of them touches the flight, which asks the [`Desk`] before every step.

mod desk;
mod http;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use desk::{Desk, Order, Seat};
use engram_flight::{Asked, Event, Header, Outcome, Step, Watcher};
use engram_plants::PlantSpec;
use http::RequestError;

/// All of the page: path, kind and content.
const PAGE: [(&str, &str, &str); 3] = [
    ("/", "text/html", include_str!("page.html")),
    ("/page.css", "text/css", include_str!("page.css")),
    ("/page.js", "text/javascript", include_str!("page.js")),
];
/// Connections at the same time.
const MOST_CONNECTIONS: usize = 32;
/// Bytes of a refused request that are still taken.
const LEFT_BYTES: u64 = 64 * 1024;
/// How long a connection may say or take nothing.
const SILENCE: Duration = Duration::from_secs(5);
/// Time between two messages with steps.
const BETWEEN: Duration = Duration::from_millis(33);
/// How far a flight may fall behind the clock before it lets that time go.
const MOST_BEHIND: Duration = Duration::from_millis(250);
/// How long the end waits for the pages to hear of it.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why no page can be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "no page can be served at 127.0.0.1:{port}: {cause}; give another --live-port, or none for any that is free"
)]
pub(crate) struct LiveError {
    port: u16,
    cause: io::Error,
}

/// The page of one flight.
pub(crate) struct Live {
    desk: Arc<Desk>,
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    interrupted: Arc<AtomicBool>,
    period: Duration,
    /// When the next step is due on the wall clock.
    due: Option<Instant>,
    /// When the step now being made began.
    began: Instant,
    sent: Instant,
    batch: Batch,
}

/// One step as the page gets it.
#[derive(Serialize)]
struct Shown {
    time_s: f64,
    plant: Vec<f32>,
    command: Vec<f32>,
    holds: bool,
    /// From the sample to the words and their check, on the wall clock.
    step_us: u32,
}

/// What the page is told every [`BETWEEN`].
#[derive(Default, Serialize)]
struct Batch {
    kind: &'static str,
    steps: Vec<Shown>,
    /// Of the newest step: for each layer the share on each age.
    attention: Vec<Vec<f32>>,
    state: String,
    faults: String,
    compared: u32,
    different: u32,
    /// Steps that were made later than one period after they were due.
    late: u32,
    worst_us: u32,
}

impl Live {
    /// Serves the page on `port` (0: any that is free) of this machine alone. `wiped` is where the memory's switch stands.
    ///
    /// # Errors
    /// The port is taken, or may not be used.
    pub(crate) fn open(
        port: u16,
        spec: &PlantSpec,
        flight: &Value,
        wiped: bool,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self, LiveError> {
        let bind = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = bind().map_err(|cause| LiveError { port, cause })?;
        let changes = spec.changes.iter().filter(|change| change.name != "none");
        let names = changes
            .clone()
            .map(|change| change.name.to_string())
            .collect();
        let hello = json!({
            "kind": "hello", "plant": spec.name, "flight": flight, "period_s": spec.period_s(),
            "state": spec.state_names, "actions": spec.channels.actions, "has_goal": spec.has_goal,
            "changes": changes.map(|change| [&change.name, &change.summary]).collect::<Vec<_>>(),
        });
        let desk = Arc::new(Desk::new(&hello, names, wiped));
        let connections = Arc::new(AtomicUsize::new(0));
        let (desk_of_pages, counted) = (Arc::clone(&desk), Arc::clone(&connections));
        std::thread::spawn(move || accept(&listener, address, &desk_of_pages, &counted));
        Ok(Self {
            desk,
            address,
            connections,
            interrupted,
            period: Duration::from_secs_f64(spec.period_s()),
            due: None,
            began: Instant::now(),
            sent: Instant::now(),
            batch: Batch {
                kind: "steps",
                ..Batch::default()
            },
        })
    }

    /// Where the page is.
    pub(crate) fn address(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Tells the pages how the flight went, and waits until they know.
    pub(crate) fn end(mut self, outcome: &Outcome) {
        self.flush();
        let error = outcome.error.as_ref().map(ToString::to_string);
        let summary = &outcome.summary;
        self.desk
            .end(&json!({ "kind": "end", "summary": summary, "error": error }));
        let began = Instant::now();
        while self.connections.load(Ordering::Relaxed) > 0 && began.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn flush(&mut self) {
        if let Ok(text) = serde_json::to_string(&self.batch) {
            self.desk.tell(&text);
        }
        self.batch.steps.clear();
        self.sent = Instant::now();
    }
}

impl Watcher for Live {
    fn step(&mut self, _: &Header, step: &Step, attention: &[Vec<f32>], time_s: f64) {
        let step_us = u32::try_from(self.began.elapsed().as_micros()).unwrap_or(u32::MAX);
        let batch = &mut self.batch;
        batch.worst_us = batch.worst_us.max(step_us);
        batch.compared += u32::from(!step.expected.is_empty());
        batch.different += u32::from(!step.expected.is_empty() && step.expected != step.words);
        batch.state = step.state.to_string();
        batch.faults = engram_link::Faults(step.faults).to_string();
        batch.attention = attention.to_vec();
        batch.steps.push(Shown {
            time_s,
            plant: step.plant.clone(),
            command: step.command.clone(),
            holds: step.holds,
            step_us,
        });
        if self.sent.elapsed() >= BETWEEN {
            self.flush();
        }
    }

    fn event(&mut self, event: &Event) {
        self.desk.event(&json!({ "kind": "event", "event": event }));
    }

    /// Waits for the start, then for the moment at which the step is due.
    fn asked(&mut self) -> Asked {
        let asked = loop {
            if let Some(asked) = self.desk.asked(Duration::from_millis(50)) {
                break asked;
            }
            if self.interrupted.load(Ordering::Relaxed) {
                return Asked::default();
            }
        };
        let now = Instant::now();
        let due = self.due.unwrap_or(now);
        std::thread::sleep(due.saturating_duration_since(now));
        let behind = now.saturating_duration_since(due);
        self.batch.late += u32::from(behind > self.period);
        self.due = Some(if behind > MOST_BEHIND { now } else { due } + self.period);
        self.began = Instant::now();
        asked
    }
}

/// Takes connections for as long as the process runs.
fn accept(listener: &TcpListener, own: SocketAddr, desk: &Arc<Desk>, count: &Arc<AtomicUsize>) {
    let own = own.to_string();
    for mut stream in listener.incoming().flatten() {
        let timeouts = (stream.set_read_timeout(Some(SILENCE)))
            .and_then(|()| stream.set_write_timeout(Some(SILENCE)));
        if timeouts.is_err() {
            continue;
        }
        if count.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
            let _ = RequestError::Full(MOST_CONNECTIONS).answer(&mut stream);
            count.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (desk, own, count) = (Arc::clone(desk), own.clone(), Arc::clone(count));
        std::thread::spawn(move || {
            if let Err(error) = serve(&mut stream, &own, &desk) {
                refuse(&mut stream, &error);
            }
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Says why. What is left of the request is taken, up to a bound: a line that is closed before loses the answer.
fn refuse(stream: &mut TcpStream, error: &RequestError) {
    // Who is gone needs no answer.
    let _ = (error.answer(stream))
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| io::copy(&mut stream.take(LEFT_BYTES), &mut io::sink()));
}

/// Answers one request.
fn serve(stream: &mut TcpStream, own: &str, desk: &Desk) -> Result<(), RequestError> {
    let request = http::read(stream, own)?;
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/events") => {
            let seat = desk.look()?;
            // From here on the answer has begun: an error ends it.
            let _ = tell(stream, &seat);
        }
        ("POST", "/order") => {
            desk.take(serde_json::from_slice::<Order>(&request.body)?)?;
            http::respond(stream, "202 Accepted", "text/plain", b"")?;
        }
        (method, path) => {
            let part = PAGE.iter().find(|part| method == "GET" && part.0 == path);
            let (_, kind, content) = part.ok_or_else(|| RequestError::NoPage {
                method: method.to_owned(),
                path: path.to_owned(),
            })?;
            http::respond(stream, "200 OK", kind, content.as_bytes())?;
        }
    }
    Ok(())
}

/// Server-sent events until the flight or the page ends; a silent flight sends empty ones, so that a page that is gone is noticed.
fn tell(stream: &mut TcpStream, (missed, coming): &Seat) -> io::Result<()> {
    use std::sync::mpsc::RecvTimeoutError;
    http::begin_events(stream)?;
    for message in missed {
        write!(stream, "data: {message}\n\n")?;
    }
    loop {
        match coming.recv_timeout(Duration::from_secs(1)) {
            Ok(message) => stream.write_all(format!("data: {message}\n\n").as_bytes())?,
            Err(RecvTimeoutError::Timeout) => stream.write_all(b":\n\n")?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engram_plants::PlantFactory;

    fn live(port: u16) -> Result<Live, LiveError> {
        let plant = PlantFactory::open("pendulum").expect("built in");
        let spec = plant.spec();
        Live::open(
            port,
            spec,
            &json!({ "board": "loopback" }),
            false,
            Arc::default(),
        )
    }

    /// The first bytes of the answer to a request.
    fn asked(live: &Live, line: &str, more: &str) -> String {
        let mut stream = TcpStream::connect(live.address).expect("a connection");
        let host = live.address;
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = vec![0; 4096];
        let mut length = 0;
        while length < answer.len() {
            match stream.read(&mut answer[length..]).expect("an answer") {
                0 => break,
                count => length += count,
            }
            if String::from_utf8_lossy(&answer[..length]).contains("standing") {
                break;
            }
        }
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[test]
    fn the_page_is_served_to_this_machine_and_steers_the_flight() {
        let mut live = live(0).expect("a free port");
        assert!(live.address.ip().is_loopback());
        assert!(asked(&live, "GET /", "").contains("<!doctype html>"));
        assert!(asked(&live, "GET /secret", "").starts_with("HTTP/1.1 404"));
        assert!(asked(&live, "POST /order", "").starts_with("HTTP/1.1 403"));
        let hello = asked(&live, "GET /events", "");
        assert!(
            hello.contains("polarity-mass") && hello.contains("waiting"),
            "{hello}"
        );
        for order in [r#"{"change":"mass"}"#, r#""start""#] {
            let (length, own) = (order.len(), live.address);
            let more = format!("Origin: http://{own}\r\nContent-Length: {length}\r\n\r\n{order}");
            assert!(asked(&live, "POST /order", &more).starts_with("HTTP/1.1 202"));
        }
        assert_eq!(live.asked().changes, ["mass"]);
        let began = Instant::now();
        for _ in 0..5 {
            live.asked();
        }
        assert!(
            began.elapsed() >= 4 * live.period,
            "at the pace of the clock"
        );
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = live(0).expect("a free port");
        let error = live(first.address.port()).err().expect("taken").to_string();
        assert!(error.contains("--live-port"), "{error}");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for (path, _, content) in PAGE {
            assert!(
                !content.contains("http:") && !content.contains("https:"),
                "{path}"
            );
        }
    }
}
