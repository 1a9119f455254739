//! One request of a browser on this machine: read within bounds, and refused where a page from elsewhere sent it.
//!
//! Every connection carries one request and is closed. httparse reads the head; what stands here is how much of it is taken.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Header lines of a request.
const HEADERS: usize = 64;
/// Bytes of a request's body.
const BODY_BYTES: usize = 1024;
/// How long a whole request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request that this page's own address, and no other page, has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the request cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("the request did not arrive within {} s", PATIENCE.as_secs())]
    Slow,
    #[error("the request is no HTTP: {0}")]
    Parse(#[from] httparse::Error),
    #[error("the request ends before its end")]
    Short,
    #[error("the request's head has more than the {HEAD_BYTES} bytes that are taken")]
    HeadTooLong,
    #[error("the request's Content-Length '{told}' is not 0 to {BODY_BYTES}")]
    Body { told: String },
    #[error("the request is for host '{host}', and this is {own}: open http://{own}/")]
    Host { host: String, own: String },
    #[error("a page of '{origin}' may not steer this flight: only http://{own} may")]
    Origin { origin: String, own: String },
    #[error("there is no '{method} {path}' here: open /")]
    NoPage { method: String, path: String },
    #[error("the order is none: {0}")]
    NoOrder(#[from] serde_json::Error),
    #[error("this plant knows no change '{name}'; it knows: {known}")]
    NoChange { name: String, known: String },
    #[error("{0} changes wait already: the flight takes them before its next step")]
    TooMany(usize),
    #[error("the flight is over")]
    Over,
    #[error("{0} pages look on already: close one")]
    Full(usize),
}

impl RequestError {
    fn status(&self) -> &'static str {
        match self {
            Self::HeadTooLong => "431 Request Header Fields Too Large",
            Self::Body { .. } => "413 Content Too Large",
            Self::Slow => "408 Request Timeout",
            Self::Host { .. } | Self::Origin { .. } => "403 Forbidden",
            Self::NoPage { .. } => "404 Not Found",
            Self::Over => "409 Conflict",
            Self::TooMany(_) | Self::Full(_) => "503 Service Unavailable",
            _ => "400 Bad Request",
        }
    }

    /// Says it to whoever sent the request.
    pub(super) fn answer(&self, stream: &mut impl Write) -> io::Result<()> {
        respond(
            stream,
            self.status(),
            "text/plain",
            self.to_string().as_bytes(),
        )
    }
}

/// Reads one request that was sent to `own`, an address with its port. A stream that says nothing must time out by itself.
///
/// # Errors
/// [`RequestError`]: too long, too slow, for another host (a name that was made to point here), or an order from another page.
pub(super) fn read(stream: &mut impl Read, own: &str) -> Result<Request, RequestError> {
    let began = Instant::now();
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>| -> Result<(), RequestError> {
        if began.elapsed() > PATIENCE {
            return Err(RequestError::Slow);
        }
        let mut some = [0; 1024];
        match stream.read(&mut some)? {
            0 => Err(RequestError::Short),
            count => {
                bytes.extend_from_slice(&some[..count]);
                Ok(())
            }
        }
    };
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = head.parse(&bytes)? {
            let header = |name: &str| {
                let mut found = head.headers.iter();
                let found = found.find(|header| header.name.eq_ignore_ascii_case(name))?;
                Some(String::from_utf8_lossy(found.value).into_owned())
            };
            let method = head.method.unwrap_or_default().to_owned();
            let path = head.path.unwrap_or_default().to_owned();
            check_sender(&method, header("host"), header("origin"), own)?;
            let told = header("content-length").unwrap_or_else(|| "0".to_owned());
            let body = told
                .parse::<usize>()
                .ok()
                .filter(|length| *length <= BODY_BYTES);
            let body = body.ok_or(RequestError::Body { told })?;
            while bytes.len() < length + body {
                more(&mut bytes)?;
            }
            let body = bytes[length..length + body].to_vec();
            return Ok(Request { method, path, body });
        }
        if bytes.len() > HEAD_BYTES {
            return Err(RequestError::HeadTooLong);
        }
        more(&mut bytes)?;
    }
}

/// Browsers say whom they believe to talk to, and which page makes them send an order; neither can be feigned by a page.
fn check_sender(
    method: &str,
    host: Option<String>,
    origin: Option<String>,
    own: &str,
) -> Result<(), RequestError> {
    let port = own.rsplit(':').next().unwrap_or_default();
    let (host, own) = (host.unwrap_or_default(), own.to_owned());
    if host != own && host != format!("localhost:{port}") {
        return Err(RequestError::Host { host, own });
    }
    let ours = origin
        .as_ref()
        .map(|origin| *origin == format!("http://{host}"));
    match ours {
        Some(true) => Ok(()),
        // Who looks on need not say where from.
        None if method == "GET" => Ok(()),
        _ => Err(RequestError::Origin {
            origin: origin.unwrap_or_else(|| "nowhere".to_owned()),
            own,
        }),
    }
}

/// What every answer says: it is for this page alone, in no frame, and loads nothing from anywhere else.
const HEADERS_OF_ANSWERS: &str = "Cache-Control: no-store\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\
     Cross-Origin-Resource-Policy: same-origin\r\nContent-Security-Policy: default-src 'none'; style-src 'self'; \
     script-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'\r\n";

/// Writes a whole answer.
pub(super) fn respond(
    stream: &mut impl Write,
    status: &str,
    kind: &str,
    body: &[u8],
) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n{HEADERS_OF_ANSWERS}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat())
}

/// Begins an answer that goes on: server-sent events.
pub(super) fn begin_events(stream: &mut impl Write) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{HEADERS_OF_ANSWERS}\r\n");
    stream.write_all(head.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "127.0.0.1:8080";

    fn read_text(text: &str) -> Result<Request, RequestError> {
        read(&mut text.as_bytes(), OWN)
    }

    #[test]
    fn requests_of_the_page_are_read() {
        let page = read_text("GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n").expect("a request");
        assert_eq!((page.method.as_str(), page.path.as_str()), ("GET", "/"));
        let order = "POST /order HTTP/1.1\r\nhost: 127.0.0.1:8080\r\norigin: http://127.0.0.1:8080\r\ncontent-length: 7\r\n\r\n\"start\"";
        assert_eq!(read_text(order).expect("an order").body, b"\"start\"");
    }

    #[test]
    fn what_another_page_sends_is_refused() {
        for (method, host, origin, words) in [
            ("GET", "evil.example", "", "open http://127.0.0.1:8080/"),
            ("GET", "127.0.0.1:8081", "", "this is 127.0.0.1:8080"),
            ("GET", OWN, "http://evil.example", "may not steer"),
            ("POST", OWN, "http://evil.example", "may not steer"),
            ("POST", OWN, "null", "'null'"),
            ("POST", OWN, "", "'nowhere'"),
            ("POST", OWN, "http://localhost:8080", "may not steer"),
        ] {
            let origin = match origin {
                "" => String::new(),
                origin => format!("Origin: {origin}\r\n"),
            };
            let text = format!("{method} / HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n");
            let error = read_text(&text).expect_err(host);
            assert!(error.status().starts_with("403"), "{text}");
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
        let without = read_text("GET / HTTP/1.1\r\n\r\n").expect_err("no host");
        assert!(matches!(without, RequestError::Host { .. }), "{without}");
    }

    #[test]
    fn what_is_too_long_or_cut_off_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nHost: {OWN}\r\nx: {}", "y".repeat(20_000));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65));
        let body = |told: &str| {
            format!(
                "POST / HTTP/1.1\r\nHost: {OWN}\r\nOrigin: http://{OWN}\r\nContent-Length: {told}\r\n\r\nx"
            )
        };
        for (text, status) in [
            (long, "431"),
            (many, "400"),
            (body("1025"), "413"),
            (body("-1"), "413"),
            (body("2"), "400"),
            ("GET / HT".to_owned(), "400"),
            ("\0\0\0".to_owned(), "400"),
        ] {
            let error = read_text(&text).expect_err("refused");
            assert!(error.status().starts_with(status), "{error}");
        }
    }

    #[test]
    fn answers_say_how_long_they_are() {
        let mut answer = Vec::new();
        respond(&mut answer, "200 OK", "text/html", b"word").expect("written");
        let answer = String::from_utf8(answer).expect("text");
        assert!(answer.contains("Content-Length: 4\r\n") && answer.ends_with("\r\n\r\nword"));
    }
}
