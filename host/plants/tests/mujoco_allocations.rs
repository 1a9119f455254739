//! A step of a MuJoCo plant does not allocate.
#![cfg(feature = "mujoco")]

use allocation_counter::measure;
use engram_plants::{Driven, MUJOCO_NAMES, Start, TaskSet, by_name, random_stream};

/// The robots whose files are shipped: between them they use most of what can be measured.
const ROBOTS: [&str; 3] = [
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/robots/balancer.toml"
    ),
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/robots/quadruped.toml"
    ),
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/robots/arm6.toml"
    ),
];

/// The same robot with all that may stand between a policy and its model.
const IMPERFECT: &str = r#"
[[start.joint]]
joints = ["left_wheel"]
velocity = [-1.0, 1.0]
[[start.body]]
body = "chassis"
yaw = [-1.0, 1.0]
[[hidden]]
name = "bias"
training = [-0.1, 0.1]
observation_bias = { observations = ["*"] }
[[hidden]]
name = "late"
training = [0.0, 3.0]
observation_delay = { observations = ["*"] }
[[hidden]]
name = "slow"
training = [0.0, 3.0]
action_delay = { actions = ["*"] }
[[hidden]]
name = "blur"
training = [0.0, 0.1]
action_noise = { actions = ["*"] }
[[hidden]]
name = "load"
training = [0.0, 0.2]
payload = { body = "chassis", at = [0.0, 0.0, 0.1] }
[[hidden]]
name = "push"
training = [0.0, 1.0]
push = { body = "chassis", every_s = 0.5, for_s = 0.1 }
"#;

fn imperfect(folder: &std::path::Path) -> String {
    let example = std::path::Path::new(ROBOTS[0]);
    let text = std::fs::read_to_string(example).unwrap();
    let text = text.replace(
        "safe = 0.0",
        "safe = 0.0\nfilter_s = 0.02\nnoise_std = 0.01",
    );
    let model = example.with_file_name("balancer.xml");
    std::fs::copy(model, folder.join("balancer.xml")).unwrap();
    let file = folder.join("imperfect.toml");
    std::fs::write(&file, text + IMPERFECT).unwrap();
    file.to_str().expect("a path of text").to_owned()
}

#[test]
fn a_mujoco_step_allocates_nothing() {
    let counted = measure(|| drop(std::hint::black_box(vec![0_u8; 8])));
    assert_eq!(counted.count_total, 1, "the counter works");
    let folder = tempfile::tempdir().unwrap();
    let imperfect = imperfect(folder.path());
    for name in MUJOCO_NAMES
        .into_iter()
        .chain(ROBOTS)
        .chain([imperfect.as_str()])
    {
        let plant = by_name(name).unwrap();
        let mut random = random_stream(0, TaskSet::HeldOut.stream(), 0);
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        let actions = plant.spec().contract().actions.len();
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

#[test]
fn mujoco_a_trial_takes_no_more_memory_than_the_one_before() {
    for name in ["hopper-params", ROBOTS[0]] {
        let plant = by_name(name).unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|index| {
                let mut random = random_stream(0, TaskSet::HeldOut.stream(), index);
                plant.sample_task(TaskSet::HeldOut, &mut random)
            })
            .collect();
        let mut driven = Driven::new(plant);
        let command = vec![0.3f32; driven.spec().contract().actions.len()];
        let mut left = Vec::new();
        for (seed, task) in tasks.iter().enumerate() {
            let counted = measure(|| {
                driven.begin(task, seed as u64);
                driven.act(&command);
            });
            left.push(counted.bytes_current);
        }
        // The first ones lay out the list of what a task changes.
        assert!(left[4..].iter().all(|left| *left == 0), "{name}: {left:?}");
    }
}
