//! What is asked of every servo before the first control step, and torque on where it stands.

use std::fmt::Display;
use std::time::{Duration, Instant};

use rustypot::StatusError;
use serialport::SerialPort;

use super::config::{BusConfig, BusError, Joint, ServoFault};
use super::servo::Servo;
use super::wire::Wire;

/// How long one servo has for one answer, and how often it is asked.
const ANSWER: Duration = Duration::from_millis(200);
const TRIES: usize = 3;

/// Register `return_delay_time` counts in these, microseconds.
const DELAY_US: u64 = 2;

impl Wire {
    /// Repeats an exchange with one servo until it succeeds, or for [`TRIES`] times.
    fn patiently<T>(
        &mut self,
        joint: &Joint<'_>,
        mut exchange: impl FnMut(&mut Self) -> Result<T, Box<dyn std::error::Error>>,
    ) -> Result<T, BusError> {
        let silent = |cause: &dyn Display| joint.at_fault(ServoFault::Silent(cause.to_string()));
        let mut error = silent(&"not asked");
        for _ in 0..TRIES {
            self.port.begin(Instant::now() + ANSWER);
            match exchange(self) {
                Ok(value) => return Ok(value),
                Err(cause) => error = silent(&cause),
            }
            // What is left of a damaged answer must not be there when the next question goes out.
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(error)
    }

    fn register(&mut self, joint: &Joint<'_>, name: &str) -> Result<i64, BusError> {
        let definition = joint.servo.definition();
        let (value, status) = self.patiently(joint, |wire| {
            let port: &mut dyn SerialPort = &mut wire.port;
            definition.read_register_with_error(&wire.protocol, port, joint.id, name)
        })?;
        no_alarm(joint, status)?;
        Ok(value)
    }

    fn set_register(&mut self, joint: &Joint<'_>, name: &str, value: i64) -> Result<(), BusError> {
        let definition = joint.servo.definition();
        let status = self.patiently(joint, |wire| {
            let port: &mut dyn SerialPort = &mut wire.port;
            definition.write_register_with_error(&wire.protocol, port, joint.id, name, value)
        })?;
        no_alarm(joint, status)
    }

    /// Every servo is of its kind, in position mode, without alarm, and quick enough for a period.
    pub(super) fn check_servos(
        &mut self,
        config: &BusConfig<'_>,
        period_us: u32,
    ) -> Result<(), BusError> {
        let mut delays_us = 0;
        for joint in config.joints {
            let definition = joint.servo.definition();
            let model = self.register(joint, "model_number")?;
            if definition
                .models
                .iter()
                .all(|(_, known)| i64::from(*known) != model)
            {
                let servo = definition.name;
                return Err(joint.at_fault(ServoFault::Model { model, servo }));
            }
            let mode = self.register(joint, "operating_mode")?;
            let wanted = joint.servo.position_mode();
            if mode != wanted {
                return Err(joint.at_fault(ServoFault::Mode { mode, wanted }));
            }
            let delay = self.register(joint, "return_delay_time")?;
            delays_us += DELAY_US * u64::try_from(delay).unwrap_or(0);
        }
        let servos = config.joints.len();
        let bits = config
            .joints
            .first()
            .map_or(0, |joint| joint.servo.wire_bits(servos));
        let wire_us = (bits as u64 * 1_000_000).div_ceil(u64::from(config.baud));
        let took_us = wire_us + delays_us;
        // Three quarters of a question's fifth of the period: the rest is for the adapter and the operating system.
        let room_us = u64::from(period_us) * 3 / 20;
        if took_us > room_us {
            return Err(BusError::Slow {
                servos,
                took_us,
                wire_us,
                baud: config.baud,
                period_us,
                room_us,
            });
        }
        Ok(())
    }

    /// Angle of a joint that is to have torque, rad. It must stand within the servo's own limits, and these be no narrower than the joint's: a servo takes every goal,
    /// and drives to its limit instead.
    pub(super) fn angle(&mut self, joint: &Joint<'_>) -> Result<f32, BusError> {
        let least = self.register(joint, "min_position_limit")?;
        let most = self.register(joint, "max_position_limit")?;
        let own @ [least, most] = match [least, most] {
            // Feetech: no limits.
            [0, 0] => [0, Servo::LAST_STEP],
            _ => [least.max(0), most.min(Servo::LAST_STEP)],
        };
        let position = self.register(joint, "present_position")?;
        if position < least || position > most {
            return Err(joint.at_fault(ServoFault::Stands { position, own }));
        }
        let goals = joint
            .limits_rad
            .map(|limit| Servo::goal_steps(joint.servo_angle(limit)));
        let wanted = [goals[0].min(goals[1]), goals[0].max(goals[1])];
        if wanted[0] < least || wanted[1] > most {
            return Err(BusError::OwnLimits {
                joint: joint.name.into(),
                id: joint.id,
                wanted,
                own,
            });
        }
        Ok(joint.joint_angle(Servo::angle(position)))
    }

    /// Whether the joint holds already: a program before this one may have left it so.
    pub(super) fn has_torque(&mut self, joint: &Joint<'_>) -> Result<bool, BusError> {
        Ok(self.register(joint, "torque_enable")? != 0)
    }

    /// The joint's goal is where it stands, `angle_rad`; then torque on.
    pub(super) fn stiffen(&mut self, joint: &Joint<'_>, angle_rad: f32) -> Result<(), BusError> {
        let steps = Servo::goal_steps(joint.servo_angle(angle_rad));
        self.set_register(joint, "goal_position", steps)?;
        self.set_register(joint, "torque_enable", 1)
    }

    /// Torque off. No servo answers that, so it is said three times.
    pub(super) fn limp<'j>(&mut self, mut joints: impl Iterator<Item = &'j Joint<'j>> + Clone) {
        let ids: Vec<u8> = joints.clone().map(|joint| joint.id).collect();
        let first = joints.next().map(|joint| joint.servo.definition());
        let register = first.and_then(|servo| servo.register("torque_enable"));
        if let Some(register) = register {
            for _ in 0..TRIES {
                let off = vec![vec![0]; ids.len()];
                let _ = self.tell(ANSWER, &ids, register.addr, &off);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

fn no_alarm(joint: &Joint<'_>, status: StatusError) -> Result<(), BusError> {
    if status.is_ok() {
        return Ok(());
    }
    Err(joint.at_fault(ServoFault::Alarm(status.byte())))
}
