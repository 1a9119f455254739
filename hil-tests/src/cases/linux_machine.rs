//! What only a whole machine of Linux shows: what its kernel gave the board, and its watchdog.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use engram_flight::board::{self, BoardName};
use engram_link::{Pace, State, ToBoard};
use engram_plants::pendulum::CONTRACT;

use crate::sample_image::USUAL;
use crate::{Case, Rig, Target, good_sample};

pub(super) const CASES: &[Case] = cases![
    a_real_time_process_has_what_it_asked_for,
    a_stopped_process_is_restarted_by_the_watchdog_and_a_flying_one_is_not,
];

/// A shell beside the board.
struct Console {
    commands: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Console {
    fn new(commands: UnixStream) -> Result<Self> {
        commands.set_read_timeout(Some(Duration::from_secs(20)))?;
        let lines = BufReader::new(commands.try_clone()?);
        Ok(Self { commands, lines })
    }

    /// The next line; `None` at the end of the machine.
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let count = self.lines.read_line(&mut line)?;
        Ok((count > 0).then(|| line.trim().to_owned()))
    }

    /// Runs `command` and returns the last line that it prints.
    fn ask(&mut self, command: &str) -> Result<String> {
        writeln!(self.commands, "{command}; echo end")?;
        let mut last = String::new();
        while let Some(line) = self.line()? {
            if line == "end" {
                return Ok(last);
            }
            last = line;
        }
        bail!("the machine ended at {command:?}")
    }
}

/// Whether `rig` is for the machine that has a console; says so where it is not.
fn is_machine(rig: &Rig) -> bool {
    let is = *rig.target() == Target::Board(BoardName::QemuLinuxRt);
    if !is {
        rig.not_tried("its kernel", "this is no whole machine of Linux");
    }
    is
}

fn a_real_time_process_has_what_it_asked_for(rig: &Rig) -> Result<()> {
    if !is_machine(rig) {
        return Ok(());
    }
    let (transport, console) = board::open_with_console()?;
    let _board = Rig::client_over(transport)?;
    let mut console = Console::new(console)?;
    for (what, command, expected) in [
        ("the kernel", "uname -v | grep -o PREEMPT_RT", "PREEMPT_RT"),
        // Priority, and the number of SCHED_FIFO.
        (
            "its schedule",
            "cut -d' ' -f40,41 /proc/$board/stat",
            "80 1",
        ),
        (
            "its CPU",
            "sed -n 's/Cpus_allowed_list:.//p' /proc/$board/status",
            "0",
        ),
        // The one that flies; those that speak and open the device wait behind everything else.
        (
            "its threads in real time",
            "cut -d' ' -f41 /proc/$board/task/*/stat | grep -c 1",
            "1",
        ),
        (
            "its other threads",
            "cat /proc/$board/task/*/comm | grep -c ^engram-[so]",
            "2",
        ),
    ] {
        let is = console.ask(command)?;
        ensure!(is == expected, "{what}: {is:?}, not {expected:?}");
    }
    let locked =
        console.ask("sed -n 's/VmLck:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$board/status")?;
    let all = console.ask("sed -n 's/VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$board/status")?;
    let [locked, all]: [u32; 2] = [locked.parse()?, all.parse()?];
    // Two slots of a megabyte, at least; and no page that is there may go.
    ensure!(
        locked > 2 * 1_024 && locked >= all,
        "{locked} kB are locked, {all} kB there"
    );
    Ok(())
}

fn a_stopped_process_is_restarted_by_the_watchdog_and_a_flying_one_is_not(rig: &Rig) -> Result<()> {
    if !is_machine(rig) {
        return Ok(());
    }
    let (transport, console) = board::open_with_console()?;
    let mut console = Console::new(console)?;
    let (mut client, _) = Rig::client_over(transport)?;
    Rig::install(&mut client, &USUAL)?;
    client.hello(Pace::RealTime)?;
    // Disarmed it waits for long: a stop of two seconds is none.
    console.ask("kill -STOP $board; sleep 2; kill -CONT $board")?;
    client.arm()?;
    // It waits for one second in flight.
    let began = Instant::now();
    let mut last = None;
    while began.elapsed() < Duration::from_secs(4) {
        let step = client.next_action(Instant::now() + Duration::from_secs(2))?;
        let step = step.context("no control step for 2 s")?;
        let sample = good_sample(&CONTRACT, step.now_us + 1_000);
        client.send(&ToBoard::Sensors(sample))?;
        last = Some(step.state);
    }
    // A machine that is stopped for a while may have lost a sample: it makes steps all the same.
    ensure!(
        last.is_some_and(|state| state != State::Disarmed),
        "{last:?}"
    );
    console.ask("kill -STOP $board")?;
    let stopped = Instant::now();
    // The host chats on, and the kernel's driver takes what it says.
    while stopped.elapsed() < Duration::from_secs(10) {
        if client.send(&ToBoard::Telemetry).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = stopped.elapsed();
    // The kernel restarts at once and says nothing any more; when the process ends, the first one says so.
    let mut words = Vec::new();
    while let Some(line) = console.line()? {
        words.push(line);
    }
    ensure!(
        took > Duration::from_millis(200) && took < Duration::from_secs(8) && words.is_empty(),
        "the machine ended after {took:?}: {words:?}"
    );
    println!(
        "{}: the watchdog restarted the machine {took:?} after the stop",
        rig.target()
    );
    Ok(())
}
