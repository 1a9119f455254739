//! The firmware: the drivers on the board.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

/// What the encoder reads when the pendulum stands upright: yours to measure.
#[cfg(target_os = "none")]
const UPRIGHT_RADIANS: f32 = 0.0;

#[cfg(target_os = "none")]
#[engram_board_stm32f405::entry]
fn main() -> ! {
    use engram_board_stm32f405::{Stm32f405, Wiring, run, start, stop};
    use engram_firmware::fallback::NoFallback;
    use engram_firmware::node::{ContractSource, Node, Parts};
    use engram_firmware::safety::Settings;
    use engram_link::Pace;
    use engram_robot_template::actuators::motor;
    use engram_robot_template::contract::CONTRACT;
    use engram_robot_template::sensors::PendulumSensors;

    let board: Stm32f405 = start(Wiring::Betaflight);
    // PC6 is the PWM, PB0 the direction.
    let Ok([pwm, ..]) = board.motors.start(20_000) else {
        stop("no such PWM")
    };
    let direction = board.pins.pb0.into_push_pull_output();
    let Ok(actuators) = motor(pwm, direction) else {
        stop("the motor does not fit the contract")
    };
    let Ok(sensors) = PendulumSensors::new(board.i2c, board.platform.clone(), UPRIGHT_RADIANS)
    else {
        stop("the sensors do not fit the contract")
    };
    let node = Node::new(Parts {
        contract: ContractSource::Board {
            contract: &CONTRACT,
            settings: Settings::for_period(CONTRACT.period_us),
        },
        key: const { engram_firmware::signature::PublicKey::of_build(option_env!("ENGRAM_PUBLIC_KEY")) },
        pace: Pace::RealTime,
        sensors,
        actuators,
        fallback: NoFallback,
        store: board.store,
        memory: board.memory,
        platform: board.platform,
    });
    run(node, board.line)
}

#[cfg(not(target_os = "none"))]
fn main() {
    panic!("a firmware: cargo build --release --target thumbv7em-none-eabihf");
}
