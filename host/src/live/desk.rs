//! What the flight and its pages share: what was asked for, who looks on, and what they are told.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::http::RequestError;
use engram_flight::Asked;

/// Pages that may look on at the same time.
const MOST_PAGES: usize = 8;
/// Messages that wait for a page; one that reads slower misses some.
const MESSAGES: usize = 64;
/// Newest events that a page is told which opens later.
const EVENTS: usize = 40;
/// Changes that may wait for the next step.
const MOST_CHANGES: usize = 16;

/// What a page may ask for, as it is sent: `"start"`, `{"change": "payload"}` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    Start,
    Stop,
    Change(String),
    WipeMemory(bool),
}

/// What a page has missed, and what comes.
pub(super) type Seat = (Vec<Arc<str>>, Receiver<Arc<str>>);

/// Where the flight stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Flying,
    Stopping,
    Over,
}

/// The one thing that the flight's thread and those of the pages have in common.
pub(super) struct Desk {
    state: Mutex<State>,
    turned: Condvar,
    changes: Vec<String>,
    /// What the flight is, as a page is told first.
    hello: String,
}

struct State {
    phase: Phase,
    wiped: bool,
    asked: Asked,
    pages: Vec<SyncSender<Arc<str>>>,
    events: VecDeque<Arc<str>>,
}

impl Desk {
    pub(super) fn new(hello: &Value, changes: Vec<String>, wiped: bool) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Waiting,
                wiped,
                asked: Asked::default(),
                pages: Vec::new(),
                events: VecDeque::new(),
            }),
            turned: Condvar::new(),
            changes,
            hello: hello.to_string(),
        }
    }

    /// A thread that panicked left nothing half done here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order of a page; the flight carries it out before its next step.
    pub(super) fn take(&self, order: Order) -> Result<(), RequestError> {
        let mut state = self.state();
        if state.phase == Phase::Over {
            return Err(RequestError::Over);
        }
        match order {
            Order::Start if state.phase == Phase::Waiting => state.phase = Phase::Flying,
            Order::Start => {}
            Order::Stop => {
                state.asked.stop = true;
                state.phase = Phase::Stopping;
            }
            Order::Change(name) if !self.changes.contains(&name) => {
                let known = self.changes.join(", ");
                return Err(RequestError::NoChange { name, known });
            }
            Order::Change(_) if state.asked.changes.len() == MOST_CHANGES => {
                return Err(RequestError::TooMany(MOST_CHANGES));
            }
            Order::Change(name) => state.asked.changes.push(name),
            Order::WipeMemory(wiped) => {
                state.wiped = wiped;
                state.asked.wipe_memory = Some(wiped);
            }
        }
        let standing = state.standing();
        state.tell(&standing);
        self.turned.notify_all();
        Ok(())
    }

    /// What was asked for since the last call; `None` before the start, after waiting for it a moment.
    pub(super) fn asked(&self, moment: Duration) -> Option<Asked> {
        let mut state = self.state();
        if state.phase == Phase::Waiting {
            let turned = self.turned.wait_timeout(state, moment);
            state = turned.unwrap_or_else(PoisonError::into_inner).0;
        }
        (state.phase != Phase::Waiting).then(|| std::mem::take(&mut state.asked))
    }

    /// One more page looks on: what it has missed, and what comes.
    pub(super) fn look(&self) -> Result<Seat, RequestError> {
        let mut state = self.state();
        // Who is gone is noticed by being told something.
        let standing = state.standing();
        state.tell(&standing);
        if state.pages.len() == MOST_PAGES {
            return Err(RequestError::Full(MOST_PAGES));
        }
        let (to, from) = sync_channel(MESSAGES);
        let mut missed = vec![self.hello.as_str().into(), standing];
        missed.extend(state.events.iter().cloned());
        if state.phase != Phase::Over {
            state.pages.push(to);
        }
        Ok((missed, from))
    }

    /// Tells every page.
    pub(super) fn tell(&self, message: &str) {
        self.state().tell(&message.into());
    }

    /// Tells every page, and those that open later.
    pub(super) fn event(&self, message: &Value) {
        let message: Arc<str> = message.to_string().into();
        let mut state = self.state();
        if state.events.len() == EVENTS {
            state.events.pop_front();
        }
        state.events.push_back(Arc::clone(&message));
        state.tell(&message);
    }

    /// The flight is over: no orders, and no messages after this one.
    pub(super) fn end(&self, message: &Value) {
        self.event(message);
        let mut state = self.state();
        state.phase = Phase::Over;
        state.pages.clear();
    }
}

impl State {
    /// Phase and switch, as pages are told.
    fn standing(&self) -> Arc<str> {
        let phase = format!("{:?}", self.phase).to_lowercase();
        json!({ "kind": "standing", "phase": phase, "wiped": self.wiped })
            .to_string()
            .into()
    }

    /// One that is gone is forgotten; for one that reads too slowly this message is lost.
    fn tell(&mut self, message: &Arc<str>) {
        self.pages.retain(|page| {
            !matches!(
                page.try_send(Arc::clone(message)),
                Err(TrySendError::Disconnected(_))
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Desk {
        Desk::new(
            &json!({ "kind": "hello" }),
            vec!["payload".to_owned()],
            false,
        )
    }

    fn order(text: &str) -> Order {
        serde_json::from_str(text).expect("an order")
    }

    #[test]
    fn orders_wait_for_the_next_step_and_come_once() {
        let desk = desk();
        for text in [r#"{"change":"payload"}"#, r#"{"wipe_memory":true}"#] {
            desk.take(order(text)).expect("taken");
        }
        assert_eq!(desk.asked(Duration::ZERO), None, "not started");
        desk.take(order(r#""start""#)).expect("taken");
        let asked = desk.asked(Duration::ZERO).expect("started");
        assert_eq!(
            (asked.changes, asked.wipe_memory),
            (vec!["payload".to_owned()], Some(true))
        );
        assert_eq!(desk.asked(Duration::ZERO), Some(Asked::default()));
        desk.take(Order::Stop).expect("taken");
        assert!(desk.asked(Duration::ZERO).expect("started").stop);
        desk.end(&json!({ "kind": "end" }));
        assert!(matches!(desk.take(Order::Start), Err(RequestError::Over)));
    }

    #[test]
    fn whatever_comes_is_bounded() {
        let desk = desk();
        let unknown = desk.take(Order::Change("nothing".to_owned()));
        assert!(
            unknown
                .expect_err("unknown")
                .to_string()
                .contains("it knows: payload")
        );
        for _ in 0..MOST_CHANGES {
            desk.take(Order::Change("payload".to_owned()))
                .expect("taken");
        }
        let more = desk.take(Order::Change("payload".to_owned()));
        assert!(matches!(more, Err(RequestError::TooMany(_))));
        let pages: Vec<_> = (0..MOST_PAGES)
            .map(|_| desk.look().expect("room"))
            .collect();
        assert!(matches!(desk.look(), Err(RequestError::Full(_))));
        for number in 0..1_000 {
            desk.event(&json!(number));
        }
        assert_eq!(pages[0].1.try_iter().count(), MESSAGES);
        // Pages that are loaded again take no more room than they need.
        drop(pages);
        for _ in 0..2 * MOST_PAGES {
            desk.look().expect("room");
        }
        desk.tell("gone pages are forgotten");
        let (missed, _) = desk.look().expect("room");
        assert_eq!(missed.len(), 2 + EVENTS);
    }

    #[test]
    fn no_other_text_is_an_order() {
        for text in [
            "",
            "stop",
            r#""Start""#,
            r#"{"change":1}"#,
            r#"{"wipe_memory":"on"}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Order>(text).is_err(), "{text}");
        }
    }
}
