//! What holds for every plant of the module.

use std::sync::Arc;

use mujoco_rs::wrappers::MjData;
use mujoco_rs::wrappers::mj_model::MjtIntegrator;

use super::simulation::After;
use super::*;
use crate::{Plant, Start, Task, TaskSet, by_name, random_stream};

/// The next action of a documented sequence that scripts/mujoco-golden.py draws too: Knuth's 64-bit linear
/// congruential generator, its top 24 bits on [-1, 1).
pub(super) fn next_action(state: &mut u64) -> f32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / 8_388_608.0 - 1.0
}

fn plants() -> Vec<Box<dyn Plant>> {
    MUJOCO_NAMES
        .iter()
        .map(|name| by_name(name).unwrap())
        .collect()
}

#[test]
fn every_plant_has_a_valid_contract_and_sizes_that_fit() {
    for plant in plants() {
        let contract = plant.spec().contract();
        contract.validate().unwrap();
        assert_eq!(plant.observe().len(), contract.observations.len());
        assert_eq!(plant.state().len(), plant.spec().state_names.len());
        assert!(plant.metric().is_some() && plant.spec().metric_name.is_some());
        let mut features = Vec::new();
        plant.privileged(&mut features);
        assert!(features.iter().all(|value| value.is_finite()));
    }
}

/// Whatever integrates, and whatever is computed afterwards.
#[test]
fn a_step_in_halves_is_mujocos_step_bit_for_bit() {
    let integrators = [
        MjtIntegrator::mjINT_EULER,
        MjtIntegrator::mjINT_RK4,
        MjtIntegrator::mjINT_IMPLICIT,
        MjtIntegrator::mjINT_IMPLICITFAST,
    ];
    for (file, integrator) in ["half_cheetah.xml", "ant.xml", "humanoid.xml", "pusher.xml"]
        .into_iter()
        .flat_map(|file| integrators.map(|integrator| (file, integrator)))
    {
        let mut model = gymnasium(file).unwrap();
        Arc::make_mut(&mut model).opt_mut().integrator = integrator as i32;
        let mut plain = MjData::new(Arc::clone(&model));
        let mut ours = [After::Motion, After::Everything]
            .map(|after| Simulation::new(Arc::clone(&model), 3, after));
        ours.iter_mut().for_each(Simulation::settle);
        let mut actions = 1;
        for step in 0..100 {
            for address in 0..plain.ctrl().len() {
                let action = f64::from(next_action(&mut actions));
                plain.ctrl_mut()[address] = action;
                for simulation in &mut ours {
                    simulation.set_control(address, action);
                }
            }
            for _ in 0..3 {
                plain.step();
            }
            for simulation in &mut ours {
                simulation.advance();
                let place = format!("{file}, {integrator:?}, step {step}");
                assert_eq!(simulation.qpos(), plain.qpos(), "{place}");
                assert_eq!(simulation.qvel(), plain.qvel(), "{place}");
                assert!(!simulation.diverged(), "{place}");
            }
        }
        plain.forward();
        for simulation in &ours {
            assert_eq!(simulation.data().xpos(), plain.xpos());
            assert_eq!(simulation.data().cvel(), plain.cvel());
        }
        assert_eq!(ours[1].data().qacc(), plain.qacc());
    }
}

#[test]
fn actions_may_jump_from_end_to_end() {
    for plant in plants() {
        let envelope = engram_firmware::safety::Envelope::new(&plant.spec().contract());
        let mut issued = vec![i16::MAX; envelope.actions()];
        let wanted = vec![-i16::MAX; envelope.actions()];
        assert!(
            !envelope.limit(&mut issued, &wanted),
            "{}",
            plant.spec().name
        );
    }
}

#[test]
fn observations_stay_within_the_contract() {
    for mut plant in plants() {
        let spec = std::sync::Arc::clone(plant.spec());
        let contract = spec.contract();
        let mut random = random_stream(2, TaskSet::OutOfDistribution.stream(), 0);
        let mut actions = 1;
        let mut largest = vec![0.0f32; contract.observations.len()];
        for seed in 0..20 {
            let task = plant.sample_task(TaskSet::OutOfDistribution, &mut random);
            plant.reset(&task, seed);
            let hold = 1 << (seed % 5);
            let mut command = vec![0.0; contract.actions.len()];
            for step in 0..200 {
                if step % hold == 0 {
                    command.fill_with(|| next_action(&mut actions).signum());
                }
                plant.step(&command);
                if plant.ended() {
                    plant.restart(Start::Usual);
                }
                for (largest, value) in largest.iter_mut().zip(plant.observe()) {
                    *largest = largest.max(value.abs());
                }
            }
        }
        for (largest, channel) in largest.iter().zip(contract.observations.iter()) {
            println!(
                "{} {}: {largest} of {}",
                plant.spec().name,
                channel.name,
                channel.max
            );
            assert!(
                *largest <= channel.max,
                "{} {}: {largest}",
                plant.spec().name,
                channel.name
            );
        }
    }
}

#[test]
fn changes_change_the_task_and_nothing_at_once() {
    for mut plant in plants() {
        let mut random = random_stream(0, TaskSet::HeldOut.stream(), 0);
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        for change in plant.spec().clone().changes.iter() {
            plant.reset(&task, 1);
            let before = plant.observe().to_vec();
            plant.apply(&change.name).unwrap();
            assert_eq!(
                plant.task() == task,
                change.name == "none",
                "{}",
                change.name
            );
            assert_eq!(plant.observe(), before, "{}", change.name);
        }
        assert!(plant.apply("colour").is_err());
    }
}

#[test]
fn tasks_lie_where_their_set_says() {
    for plant in plants() {
        let mut random = random_stream(0, TaskSet::Training.stream(), 0);
        let inside = |values: &[f32]| {
            let mut ranges = values.iter().zip(&plant.spec().parameters);
            ranges.all(|(value, parameter)| {
                (parameter.training.0..=parameter.training.1).contains(value)
            })
        };
        for _ in 0..200 {
            let task = plant.sample_task(TaskSet::HeldOut, &mut random);
            assert!(inside(&task.values), "{}: {task:?}", plant.spec().name);
            let wide = plant.sample_task(TaskSet::OutOfDistribution, &mut random);
            for (value, parameter) in wide.values.iter().zip(&plant.spec().parameters) {
                assert!((parameter.wide.0..=parameter.wide.1).contains(value));
            }
            // Of two directions on a line there is no third, and the xy ant's lie between its two.
            if !["half-cheetah-dir", "ant-dir-xy"].contains(&&*plant.spec().name) {
                assert!(!inside(&wide.values), "{}: {wide:?}", plant.spec().name);
            }
        }
    }
}

#[test]
fn more_damping_makes_slower_joints() {
    let mut plant = by_name("hopper-params").unwrap();
    let foot_rate = |plant: &mut dyn Plant, damping: f32| {
        plant.reset(
            &Task {
                values: vec![0.0, 0.0, damping, 0.0],
            },
            1,
        );
        for _ in 0..5 {
            plant.step(&[1.0, 1.0, 1.0]);
        }
        plant.observe()[10].abs()
    };
    assert!(foot_rate(&mut *plant, 3.0) < foot_rate(&mut *plant, -3.0));
}

#[test]
fn a_missing_model_says_which_command_fetches_it() {
    let error = super::load(std::path::Path::new("no/such/robot.xml")).unwrap_err();
    assert!(
        error.to_string().contains("scripts/set-up --mujoco"),
        "{error}"
    );
    assert!(error.to_string().contains("robot.xml"), "{error}");
}

#[test]
fn a_trial_depends_on_its_seed_alone() {
    for name in MUJOCO_NAMES {
        let run = |seed| {
            let mut plant = by_name(name).unwrap();
            let task = plant.sample_task(
                TaskSet::HeldOut,
                &mut random_stream(seed, TaskSet::HeldOut.stream(), 3),
            );
            plant.reset(&task, seed);
            let (mut trace, mut actions) = (Vec::new(), 1);
            let mut command = vec![0.0; plant.spec().contract().actions.len()];
            for step in 0..100 {
                trace.extend(plant.observe().iter().map(|value| value.to_bits()));
                command.fill_with(|| next_action(&mut actions));
                plant.step(&command);
                if step == 50 {
                    plant.restart(Start::Anywhere);
                }
            }
            trace
        };
        assert_eq!(run(5), run(5), "{name}");
        assert_ne!(run(5), run(6), "{name}");
    }
}

#[test]
fn the_last_reward_outlives_a_new_episode_and_not_a_new_trial() {
    let mut plant = by_name("half-cheetah-vel").unwrap();
    let task = plant.task();
    plant.reset(&task, 1);
    assert_eq!(plant.external_reward(), Some(0.0));
    plant.step(&[0.5; 6]);
    let reward = plant.external_reward();
    assert_ne!(reward, Some(0.0));
    plant.restart(Start::Usual);
    assert_eq!(plant.external_reward(), reward);
    plant.reset(&task, 1);
    assert_eq!(plant.external_reward(), Some(0.0));
}

#[test]
fn a_plant_whose_numbers_run_away_pays_nothing_and_ends() {
    for name in MUJOCO_NAMES {
        let mut plant = super::by_name(name).unwrap().unwrap().make();
        let task = plant.task();
        let command = vec![0.5; plant.spec().contract().actions.len()];
        for seed in 0..2 {
            plant.reset(&task, seed);
            plant.step(&command);
            assert!(!plant.diverged() && plant.metric().is_some(), "{name}");
            let (mut positions, velocities) = {
                let simulation = plant.simulation();
                (simulation.qpos().to_vec(), simulation.qvel().to_vec())
            };
            positions[2] = 1e11;
            plant.place(&positions, &velocities);
            assert!(plant.diverged() && plant.ended(), "{name}");
            plant.step(&command);
            assert!(plant.diverged() && plant.ended(), "{name}");
            assert_eq!(plant.external_reward(), Some(0.0), "{name}");
            assert_eq!(plant.metric(), None, "{name}");
            let judgement = plant.judge();
            assert!(judgement.fallen && !judgement.holds, "{name}");
            assert!(plant.observe().iter().all(|value| value.is_finite()));
            plant.restart(Start::Usual);
            assert!(!plant.diverged() && !plant.ended(), "{name}");
        }
    }
}
