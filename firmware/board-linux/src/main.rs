//! Engram as a Linux process. The host is the plant: sensors are injected over the link, actuators only report. In lock-step the host's
//! messages carry the time; in real time the process keeps it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use engram_board_linux::{Linux, Options, Robot, StartUpOnly, exit, node, run};
use engram_firmware::fallback::NoFallback;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::ContractSource;

#[global_allocator]
static ALLOCATOR: StartUpOnly = StartUpOnly;

/// Flies a policy image as a Linux process, behind the Engram link.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Name that the host is told
    #[arg(long, value_name = "NAME", default_value = "linux")]
    name: String,
}

const EXAMPLES: &str = "Examples:
  On a Jetson, on the UART of its header, in real time:
    engram-board-linux --port /dev/ttyTHS1 --realtime 80 --cpu 3 --watchdog /dev/watchdog
  On any Linux, for a host on the same machine:
    engram-board-linux --pty
    engram fly images/pendulum.engram --port /dev/pts/7
  The aarch64 build on an x86-64 machine (serial devices need more than QEMU's user mode emulates):
    QEMU_LD_PREFIX=/usr/aarch64-linux-gnu qemu-aarch64 -cpu max engram-board-linux-aarch64 --pty";

fn main() -> ExitCode {
    let Arguments { options, name } = Arguments::parse();
    let platform = Linux { board: name.leak() };
    let robot = Robot {
        contract: ContractSource::Image,
        sensors: InjectedSensors::new(),
        actuators: ReportedActuators,
        fallback: NoFallback,
    };
    exit(
        options
            .open_line()
            .and_then(|line| run(&mut node(robot, platform), line, &options)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = include_str!("../engram-board-linux.service");

    /// What the unit gives a key, of which there must be one.
    fn value(key: &str) -> &'static str {
        let mut values = SERVICE.lines().filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name == key).then_some(value)
        });
        let value = values.next().expect("the key is there");
        assert_eq!(values.next(), None, "{key} stands there twice");
        value
    }

    #[test]
    fn the_service_starts_a_board_in_real_time_that_may_be_one() {
        let words = value("ExecStart").split_whitespace();
        let arguments = Arguments::try_parse_from(words).expect("its options");
        let priority = arguments.options.realtime.expect("a priority");
        let most: u8 = value("LimitRTPRIO").parse().expect("a number");
        assert!(priority <= most);
        assert_eq!(value("LimitMEMLOCK"), "infinity");
        assert!(arguments.options.watchdog.is_some() && arguments.options.port.is_some());
        let patience: u64 = value("TimeoutStopSec").parse().expect("seconds");
        assert!(patience > engram_board_linux::run::SETTLING_US / 1_000_000);
    }
}
