//! A step of a MuJoCo plant does not allocate.
#![cfg(feature = "mujoco")]

use allocation_counter::measure;
use engram::plant::{Driven, MUJOCO_NAMES, Start, TaskSet, by_name, random_stream};

#[test]
fn a_mujoco_step_allocates_nothing() {
    let counted = measure(|| drop(std::hint::black_box(vec![0_u8; 8])));
    assert_eq!(counted.count_total, 1, "the counter works");
    let robot = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/robots/balancer.toml"
    );
    for name in MUJOCO_NAMES.into_iter().chain([robot]) {
        let plant = by_name(name).unwrap();
        let mut random = random_stream(0, TaskSet::HeldOut.stream(), 0);
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        let actions = plant.contract().actions.len();
        let mut driven = Driven::new(plant);
        driven.begin(&task, 1);
        let mut command = vec![0.0f32; actions];
        let counted = measure(|| {
            for step in 0..400 {
                for (index, entry) in command.iter_mut().enumerate() {
                    *entry = if (step + index) % 7 < 3 { 0.8 } else { -0.8 };
                }
                driven.act(&command);
                if driven.plant().ended() {
                    driven.restart(Start::Usual);
                }
            }
        });
        assert_eq!(counted.count_total, 0, "{name}");
    }
}
