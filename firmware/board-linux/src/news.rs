//! What the program says on standard error. Once it flies a thread of its own says it, because standard error may take nothing (Ctrl-S on a console, a pipe that
//! nobody reads), and who writes to it then waits for as long.

use std::fmt::{self, Arguments, Display};
use std::io::{self, Write as _};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::errno::Errno;

/// News that may wait for standard error; what more there is is lost.
const WAITING: usize = 8;
/// How long somebody who does not fly waits until standard error has taken a line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of stack of a thread beside the control loop: the memory of all is locked.
const STACK_BYTES: usize = 128 * 1024;

static SPEAKER: OnceLock<SyncSender<News>> = OnceLock::new();

/// Something to say; what is said in flight takes no memory.
#[derive(Debug)]
pub(crate) enum News {
    /// The serial device went away.
    Gone { device: Arc<str>, cause: Errno },
    /// It was opened again.
    Back { device: Arc<str> },
    /// The watchdog cannot be fed.
    NotFed(Errno),
    /// The watchdog cannot be told how long to wait.
    NotSet(Errno),
    /// What a servo bus does now, said when it changes: it fails, or all servos answer.
    #[cfg(feature = "servo-bus")]
    Bus(Option<crate::servo_bus::Failure>),
    /// Anything else; `_said` is dropped with it.
    Text { text: String, _said: Sender<()> },
}

impl Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { device, cause } => {
                write!(f, "{device} is gone ({cause}); the control loop goes on")
            }
            Self::Back { device } => write!(f, "{device} is back"),
            Self::NotFed(cause) => {
                write!(f, "the watchdog took nothing ({cause}); said once")
            }
            Self::NotSet(cause) => {
                write!(f, "the watchdog cannot be set ({cause}); said once")
            }
            #[cfg(feature = "servo-bus")]
            Self::Bus(Some(failure)) => write!(f, "servo bus: {failure}"),
            #[cfg(feature = "servo-bus")]
            Self::Bus(None) => f.write_str("servo bus: all servos answer"),
            Self::Text { text, .. } => f.write_str(text),
        }
    }
}

/// Starts a thread beside the control loop: with the priority and the CPUs that the calling thread has now.
pub(crate) fn beside(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.into());
    thread.stack_size(STACK_BYTES).spawn(body).map(drop)
}

/// Starts the thread that says things, unless it runs.
pub(crate) fn start() -> io::Result<()> {
    if SPEAKER.get().is_some() {
        return Ok(());
    }
    let (sender, news) = sync_channel::<News>(WAITING);
    beside("engram-says", move || {
        news.iter().for_each(|news| write(format_args!("{news}")));
    })?;
    // A second one, of a second flight that began at the same time, ends at once.
    let _ = SPEAKER.set(sender);
    Ok(())
}

/// Has `news` said, by and by, if there is room for it: for the thread that flies.
pub(crate) fn tell(news: News) {
    if let Some(speaker) = SPEAKER.get() {
        let _ = speaker.try_send(news);
    }
}

/// Says a line, and waits until it is said or standard error seems to take nothing. That it cannot be shown changes nothing.
pub(crate) fn say(text: Arguments<'_>) {
    if SPEAKER.get().is_none() {
        return write(text);
    }
    let (_said, done) = channel();
    tell(News::Text {
        text: text.to_string(),
        _said,
    });
    let _ = done.recv_timeout(PATIENCE);
}

fn write(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "engram-board-linux: {text}");
}
