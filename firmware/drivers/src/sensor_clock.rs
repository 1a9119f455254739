//! When a sample was taken, by the sensor's own counter, on the clock of the control steps.

/// What a data sheet says of a sensor's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counter {
    /// Width: it wraps at two to the power of this; 1 to 32.
    pub bits: u8,
    /// Nominal time of a tick, nanoseconds.
    pub tick_ns: u32,
    /// How far from nominal it may run, millionths.
    pub drift_ppm: u32,
    /// A reading that seems to have waited for longer than this was counted anew (a reset of the sensor): the alignment begins again. Microseconds.
    pub longest_delay_us: u32,
}

impl Counter {
    fn drift_ppb(&self) -> i64 {
        i64::from(self.drift_ppm) * 1_000
    }
}

/// Readings of which the one with the least delay is kept: two such say how fast the counter runs.
const WINDOW: u8 = 128;

/// Aligns a sensor's counter to the control clock, whatever the two drift, the counter wraps and readings are late.
///
/// A reading is never older than its sample, so of many readings the one with the smallest difference between both clocks had the least delay. Of every 128
/// readings that one is kept, and they say how fast the counter runs; until there are three of them, the allowance of the data sheet is taken for it.
///
/// What comes out is never in the future and never runs backwards, and late at least by the delay that every reading has. Beyond that it is within the
/// jitter of the readings from the first one on, and within a tenth of it from about the thousandth on.
#[derive(Debug, Clone)]
pub struct SensorClock {
    counter: Counter,
    last: Option<Last>,
}

/// One reading: what the control clock was ahead of the sensor's.
#[derive(Debug, Clone, Copy)]
struct Offset {
    now_us: i64,
    ahead_us: i64,
}

/// What is known after a reading.
#[derive(Debug, Clone, Copy)]
struct Last {
    count: u32,
    now_us: u64,
    /// Time of the sensor since the first reading, wraps undone.
    sensor_ns: u64,
    /// What came out.
    time_us: u64,
    /// The reading by which later ones are placed, and how much faster the control clock runs than the sensor's, in 1e-9.
    anchor: Offset,
    drift_ppb: i64,
    /// Whether the drift was measured: it is the allowance before.
    measured: bool,
    /// The readings with the least delay of the two windows before, the older one first. One apart they may lie side by side and say nothing of the drift.
    kept: [Option<Offset>; 2],
    /// That of this window, with its delay beyond the anchor's.
    least: Option<(Offset, i64)>,
    /// Readings of this window.
    readings: u8,
}

impl SensorClock {
    /// Aligned by its first reading.
    #[must_use]
    pub const fn new(counter: Counter) -> Self {
        Self {
            counter,
            last: None,
        }
    }

    /// The time of a sample on the control clock, microseconds. `count` is the sensor's counter at the sample, `now_us` the control clock when it was read.
    /// Samples come in their order; some may be left out, for longer than a wrap, too.
    pub fn time_us(&mut self, count: u32, now_us: u64) -> u64 {
        let next = match self.last {
            None => self.first(count, now_us, 0),
            Some(last) => self.after(last, count, now_us),
        };
        self.last = Some(next);
        next.time_us
    }

    /// A reading that knows nothing of others but the last time that came out.
    fn first(&self, count: u32, now_us: u64, last_us: u64) -> Last {
        let signed_us = now_us.cast_signed();
        Last {
            count,
            now_us,
            sensor_ns: 0,
            time_us: now_us.max(last_us),
            anchor: Offset {
                now_us: signed_us,
                ahead_us: signed_us,
            },
            drift_ppb: self.counter.drift_ppb(),
            measured: false,
            kept: [None; 2],
            least: None,
            readings: 0,
        }
    }

    fn after(&self, last: Last, count: u32, now_us: u64) -> Last {
        let passed_us = now_us.saturating_sub(last.now_us);
        let passed_ns = self.passed_ns(
            count.wrapping_sub(last.count),
            passed_us.saturating_mul(1_000),
        );
        let sensor_ns = last.sensor_ns.wrapping_add(passed_ns);
        let sensor_us = (sensor_ns / 1_000).cast_signed();
        let signed_us = now_us.cast_signed();
        let seen = Offset {
            now_us: signed_us,
            ahead_us: signed_us.wrapping_sub(sensor_us),
        };
        let since_us = signed_us.saturating_sub(last.anchor.now_us);
        let drifted_us = since_us.saturating_mul(last.drift_ppb) / 1_000_000_000;
        let expected_us = last.anchor.ahead_us.saturating_add(drifted_us);
        let delay_us = seen.ahead_us.saturating_sub(expected_us);
        if delay_us > self.counter.longest_delay_us.into() {
            return self.first(count, now_us, last.time_us);
        }
        let ahead_us = seen.ahead_us.min(expected_us);
        let time_us = sensor_us.saturating_add(ahead_us).max(0).cast_unsigned();
        let next = Last {
            count,
            now_us,
            sensor_ns,
            time_us: time_us.max(last.time_us),
            ..last
        };
        self.placed(next, seen, delay_us)
    }

    /// Takes a reading into its window, and ends the window with its last one.
    fn placed(&self, mut next: Last, seen: Offset, delay_us: i64) -> Last {
        if !next.measured && delay_us < 0 {
            // The allowance is no measure: what has less delay than all before is the anchor at once.
            next.anchor = seen;
            next.least = Some((seen, 0));
        } else if next.least.is_none_or(|(_, least_us)| delay_us < least_us) {
            next.least = Some((seen, delay_us));
        }
        next.readings += 1;
        let Some((least, _)) = next.least.filter(|_| next.readings >= WINDOW) else {
            return next;
        };
        let [older, old] = next.kept;
        if let Some(older) = older {
            let passed_us = least.now_us.saturating_sub(older.now_us);
            let ahead_us = least.ahead_us.saturating_sub(older.ahead_us);
            let ppb = ahead_us.saturating_mul(1_000_000_000);
            let ppb = ppb.checked_div(passed_us).unwrap_or(0);
            let bound = self.counter.drift_ppb();
            next.drift_ppb = ppb.min(bound).max(-bound);
            next.measured = true;
        }
        Last {
            anchor: least,
            kept: [old, Some(least)],
            least: None,
            readings: 0,
            ..next
        }
    }

    /// How long the counter ran that shows `ticks` more while the control clock passed `about_ns`: as many wraps more as fit best.
    fn passed_ns(&self, ticks: u32, about_ns: u64) -> u64 {
        let wrap = 1_u64.checked_shl(self.counter.bits.into()).unwrap_or(0);
        let tick_ns = u64::from(self.counter.tick_ns);
        let at_least_ns = (u64::from(ticks) & wrap.wrapping_sub(1)).wrapping_mul(tick_ns);
        let wrap_ns = wrap.wrapping_mul(tick_ns);
        let missing_ns = about_ns.saturating_sub(at_least_ns);
        let wraps = missing_ns.saturating_add(wrap_ns / 2).checked_div(wrap_ns);
        at_least_ns.wrapping_add(wraps.unwrap_or(0).wrapping_mul(wrap_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 16 bits of 16 us: it wraps every 1.05 s.
    const COUNTER: Counter = Counter {
        bits: 16,
        tick_ns: 16_000,
        drift_ppm: 20_000,
        longest_delay_us: 100_000,
    };

    /// A sensor whose clock runs `drift` times as fast as nominal plus one, and that began at some count.
    struct Sensor {
        drift: f64,
        began_at: u32,
    }

    impl Sensor {
        fn count(&self, true_us: u64) -> u32 {
            let ticks = (true_us as f64 * (1.0 + self.drift) / 16.0) as u64;
            (ticks.wrapping_add(self.began_at.into()) & 0xFFFF) as u32
        }
    }

    /// How late times come out beyond the delay that is always there, the least and the most, once the drift is known. The sensor samples every
    /// microsecond; a reading comes each `period_us`, and some time from 0 to `jitter_us` late on top of `DELAY_US`.
    fn late_us(drift: f64, period_us: u64, jitter_us: u64, readings: u64) -> (i64, i64) {
        let sensor = Sensor {
            drift,
            began_at: 65_000,
        };
        let mut clock = SensorClock::new(COUNTER);
        let (mut noise, mut last_us) = (1_u64, 0);
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for step in 0..readings {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let wait_us = (noise >> 33) % (jitter_us + 1);
            let now_us = 1_000_000 + step * period_us + wait_us;
            let sampled_us = now_us - DELAY_US - wait_us;
            let time_us = clock.time_us(sensor.count(sampled_us), now_us);
            assert!(time_us <= now_us, "in the future");
            assert!(time_us >= last_us, "backwards");
            last_us = time_us;
            let late_us = time_us.cast_signed() - (sampled_us + DELAY_US).cast_signed();
            // From the first reading on.
            assert!(late_us <= wait_us.cast_signed(), "{late_us} us late");
            assert!(
                late_us >= -16 - jitter_us.cast_signed(),
                "{late_us} us late"
            );
            if step >= 8 * u64::from(WINDOW) {
                (least, most) = (least.min(late_us), most.max(late_us));
            }
        }
        (least, most)
    }

    const DELAY_US: u64 = 200;

    #[test]
    fn a_sample_is_placed_far_better_than_its_reading_whatever_drifts_wraps_and_jitters() {
        for (drift, period_us, jitter_us, readings) in [
            (0.0, 20_000, 0, 3_000),
            (0.0, 20_000, 3_000, 30_000),
            (0.01, 20_000, 3_000, 30_000),
            (-0.01, 20_000, 3_000, 30_000),
            (0.0199, 1_000, 500, 60_000),
            (-0.0199, 1_000, 500, 60_000),
            // Longer than a wrap between two readings.
            (0.01, 2_500_000, 3_000, 3_000),
        ] {
            let (least, most) = late_us(drift, period_us, jitter_us, readings);
            let bound = jitter_us.cast_signed() / 10 + 16;
            assert!(
                -bound <= least && most <= bound,
                "{drift} {period_us} {jitter_us}: {least} to {most} us late"
            );
        }
    }

    #[test]
    fn a_counter_that_is_right_needs_no_allowance() {
        let sensor = Sensor {
            drift: 0.0,
            began_at: 9,
        };
        let mut clock = SensorClock::new(Counter {
            drift_ppm: 0,
            ..COUNTER
        });
        // The first three readings are late, the fourth is not: from there on all are placed by it.
        let delays_us = [4_000, 3_008, 2_000, 96, 5_008, 8_000, 96, 1_008];
        for (step, delay_us) in (1_u64..).zip(delays_us) {
            let sampled_us = step * 16_000;
            let time_us = clock.time_us(sensor.count(sampled_us), sampled_us + delay_us);
            let late_us = if step < 4 { delay_us } else { 96 };
            assert_eq!(time_us, sampled_us + late_us, "reading {step}");
        }
        // The same sample again is the same time.
        assert_eq!(clock.time_us(sensor.count(128_000), 140_000), 128_096);
    }

    #[test]
    fn a_counter_that_was_set_back_is_aligned_anew() {
        let mut clock = SensorClock::new(COUNTER);
        let mut sensor = Sensor {
            drift: 0.0,
            began_at: 0,
        };
        for step in 1..100 {
            clock.time_us(sensor.count(step * 16_000), step * 16_000 + 96);
        }
        sensor.began_at = 65_536 - 30_000;
        for step in 100..103 {
            let sampled_us = step * 16_000;
            let time_us = clock.time_us(sensor.count(sampled_us), sampled_us + 96);
            assert!(
                time_us.abs_diff(sampled_us) <= 2_000,
                "{time_us} {sampled_us}"
            );
        }
    }

    #[test]
    fn numbers_that_make_no_sense_do_no_harm() {
        for (bits, tick_ns) in [(0, 0), (64, 16_000), (255, u32::MAX), (32, u32::MAX)] {
            let mut clock = SensorClock::new(Counter {
                bits,
                tick_ns,
                drift_ppm: u32::MAX,
                longest_delay_us: u32::MAX,
            });
            let mut last_us = 0;
            for (count, now_us) in [(7, 0), (u32::MAX, 1), (0, 5), (9, u64::MAX), (8, 3)] {
                let time_us = clock.time_us(count, now_us);
                assert!(time_us >= last_us);
                last_us = time_us;
            }
        }
    }
}
