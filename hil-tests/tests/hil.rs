//! Stamps every case for every board under test.
//!
//! `ENGRAM_HIL_BOARDS` lists them (`loopback,qemu-m7,qemu-m55,qemu-f405,qemu-linux,qemu-linux-rt`, or a serial device such as
//! `/dev/ttyACM0`); without it the cases run on loopback. A board that is listed and missing fails
//! its cases: nothing is ever left out quietly. What cannot be tried on a board, a case says on the console (`not_tried`).
#![forbid(unsafe_code)]

use std::process::ExitCode;

use engram_flight::board::BoardName;
use engram_hil_tests::{Rig, Target, cases, robot};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let boards = std::env::var("ENGRAM_HIL_BOARDS").unwrap_or_else(|_| "loopback".to_owned());
    let mut trials = Vec::new();
    for name in boards
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let target: Target = match name.parse() {
            Ok(target) => target,
            Err(error) => {
                eprintln!("ENGRAM_HIL_BOARDS: {error}");
                return ExitCode::FAILURE;
            }
        };
        for case in cases::all() {
            let rig = Rig::new(target.clone());
            trials.push(Trial::test(format!("{target}::{}", case.name), move || {
                (case.run)(&rig).map_err(|error| Failed::from(format!("{error:#}")))
            }));
        }
        if target == Target::Board(BoardName::QemuF405) {
            let name = "robot-template::a_robot_without_its_sensors_does_not_move";
            trials.push(Trial::test(name, || {
                robot::a_robot_without_its_sensors_does_not_move()
                    .map_err(|error| Failed::from(format!("{error:#}")))
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
