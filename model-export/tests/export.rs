//! Export of random policies: the integers stay near the f32 policy, and what does not verify is refused.

mod random;

use engram_export::checkpoint::Agent;
use engram_export::compare::compare;
use engram_export::network::Network;
use engram_export::quantize::quantize;
use engram_export::{
    Calibration, Checkpoint, ExportError, GoldenInput, Options, TensorError, Tensors, Trial,
    export, golden_steps, verify,
};
use engram_image::write::{ImageSpec, write};
use engram_image::{
    ActionChannel, Channel, Contract, HeadInput, Image, List, ModelConfig, Positions,
    QuadraticReward, Reward,
};
use random::{Numbers, random_tensors};

fn config(positions: Positions, head_input: HeadInput, window: usize) -> ModelConfig {
    ModelConfig {
        observations: 3,
        actions: 2,
        layers: 2,
        heads: 4,
        model: 32,
        ff: 48,
        window,
        hidden: [24, 20],
        positions,
        head_input,
    }
}

fn contract() -> Contract<'static> {
    let channel = |name| Channel::new(name, "m", [-5.0, 5.0]);
    let action = |name| {
        ActionChannel::new(name, "N", [-2.0, 2.0])
            .with_slew_per_s(10.0)
            .with_safe(0.0)
    };
    Contract {
        period_us: 20_000,
        observations: List::from_slice(&[channel("x"), channel("y"), channel("z")]),
        actions: List::from_slice(&[action("a"), action("b")]),
        reward: Reward::Formula(QuadraticReward {
            constant: 1.0,
            linear: List::from_slice(&[0.0; 3]),
            quadratic: List::from_slice(&[-0.1; 3]),
            action_quadratic: List::from_slice(&[0.0; 2]),
        }),
    }
}

fn network(config: ModelConfig, tensors: &Tensors) -> Network {
    Network::new(&config.into(), 5.0, tensors).expect("parameters")
}

fn checkpoint(config: ModelConfig, numbers: &mut Numbers) -> Checkpoint {
    Checkpoint {
        plant: "toy".into(),
        agent: Agent::Trmrl,
        version: "0.1.0".into(),
        seed: 1,
        steps: 0,
        training_return: 0.0,
        network: network(config, &random_tensors(&config, numbers)),
        contract: None,
        robot: Vec::new(),
        training: toml::Table::new(),
    }
}

/// Trials as a plant would give them: actions are words, done is 0 or 1.
fn trials(config: &ModelConfig, numbers: &mut Numbers, count: usize, steps: usize) -> Vec<Trial> {
    let mut one = || -> Trial {
        let mut drift = vec![0.0_f32; config.observations];
        (0..steps)
            .map(|step| {
                drift
                    .iter_mut()
                    .for_each(|x| *x = 0.9 * *x + 0.5 * numbers.normal());
                let mut memory = drift.clone();
                memory.extend(
                    (0..config.actions).map(|_| numbers.0.below(65_535) as f32 / 32_767.0 - 1.0),
                );
                memory.push(numbers.uniform());
                memory.push(if step == steps / 2 { 1.0 } else { 0.0 });
                memory
            })
            .collect()
    };
    (0..count).map(|_| one()).collect()
}

/// A plant of a line: it leaks, and each action pushes a channel. An episode ends at half time.
fn toy(config: ModelConfig) -> impl FnMut(Option<&[i16]>) -> GoldenInput {
    let mut state = [1.0_f32, -0.5, 0.25];
    let mut step = 0;
    move |words| {
        let issued = words.map_or(vec![0; config.actions], <[i16]>::to_vec);
        for (x, word) in state.iter_mut().zip(&issued) {
            *x = 0.95 * *x + 0.2 * f32::from(*word) / 32_767.0;
        }
        let done = step == golden_steps(&config) / 2;
        step += 1;
        GoldenInput {
            observation: state.to_vec(),
            reward: 0.5,
            done,
            issued,
        }
    }
}

const VARIANTS: [(Positions, HeadInput, usize); 5] = [
    (Positions::Age, HeadInput::Mixed, 24),
    (Positions::Age, HeadInput::Encoder, 40),
    (Positions::Age, HeadInput::Mixed, 1),
    (Positions::Slot, HeadInput::Encoder, 5),
    (Positions::Slot, HeadInput::Mixed, 7),
];

#[test]
fn integers_follow_the_f32_policy() {
    for (positions, head_input, window) in VARIANTS {
        let mut numbers = Numbers::new(window as u64);
        let config = config(positions, head_input, window);
        let checkpoint = checkpoint(config, &mut numbers);
        let calibration = trials(&config, &mut numbers, 6, 100);
        let exported = export(
            &checkpoint,
            &contract(),
            &calibration,
            &mut toy(config),
            &Options::default(),
            "0.1.0",
        )
        .expect("an image");
        let image = Image::read(&exported.bytes).expect("a readable image");
        assert_eq!((image.config, image.provenance.plant), (config, "toy"));
        assert!(image.golden.steps >= 3 * window && image.golden.done.contains(&1));
        // On trials that were not calibrated on.
        let fresh = trials(&config, &mut numbers, 4, 100);
        let policy = checkpoint.transformer().expect("one");
        let ranges = Calibration::measure(policy, &calibration).expect("ranges");
        let integers =
            quantize(policy.parameters(), &ranges, &Options::default()).expect("integers");
        let errors = compare(policy, &integers, &image, &fresh);
        println!("{positions:?} {head_input:?} {window}: {errors:?}");
        assert!(
            errors.snr_db > 26.0 && errors.max < 0.2,
            "{positions:?} {head_input:?} {window}: {errors:?}"
        );
        assert!(
            errors.attention.iter().all(|distance| *distance < 0.03),
            "{errors:?}"
        );
        assert!(
            errors.clipped.iter().all(|(_, share)| *share < 0.02),
            "{errors:?}"
        );
        for matrix in &exported.report.matrices {
            assert!(matrix.weight_snr_db > 34.0, "{matrix:?}");
        }
    }
}

#[test]
fn a_changed_golden_trace_is_refused() {
    let mut numbers = Numbers::new(5);
    let config = config(Positions::Age, HeadInput::Mixed, 10);
    let checkpoint = checkpoint(config, &mut numbers);
    let calibration = trials(&config, &mut numbers, 2, 60);
    let exported = export(
        &checkpoint,
        &contract(),
        &calibration,
        &mut toy(config),
        &Options::default(),
        "0.1.0",
    )
    .expect("an image");
    verify(&exported.bytes).expect("what was exported verifies");
    let image = Image::read(&exported.bytes).expect("a readable image");
    // The file is whole, only its trace is not this policy's.
    let mut spec = ImageSpec::from(&image);
    spec.golden.words[2 * 33 + 1] ^= 1;
    let forged = write(&spec).expect("a readable image");
    match verify(&forged) {
        Err(ExportError::Difference(difference)) => {
            assert_eq!((difference.step, difference.action), (33, 1))
        }
        other => panic!("{other:?}"),
    }
    // A weight changed under an unchanged trace.
    let mut spec = ImageSpec::from(&image);
    let weights = &mut spec.weights.head.third.weight;
    weights.iter_mut().for_each(|weight| *weight = -*weight);
    assert!(matches!(
        verify(&write(&spec).expect("readable")),
        Err(ExportError::Difference(_))
    ));
    // A byte changed without the hash.
    let mut broken = exported.bytes.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert!(matches!(verify(&broken), Err(ExportError::Read(_))));
}

#[test]
fn what_cannot_be_exported_is_named() {
    let mut numbers = Numbers::new(6);
    let config = config(Positions::Age, HeadInput::Encoder, 4);
    let good = checkpoint(config, &mut numbers);
    let calibration = trials(&config, &mut numbers, 1, 30);
    let attempt = |trials: &[Trial],
                   golden: &mut dyn FnMut(Option<&[i16]>) -> GoldenInput,
                   options: &Options| {
        let mut golden = golden;
        export(&good, &contract(), trials, &mut golden, options, "0.1.0")
            .expect_err("a refusal")
            .to_string()
    };
    let options = Options::default();
    assert_eq!(
        attempt(&[], &mut toy(config), &options),
        "calibration: calibration needs at least one working memory; none was given"
    );
    let mut spoiled = calibration.clone();
    spoiled[0][7][2] = f32::NAN;
    assert_eq!(
        attempt(&spoiled, &mut toy(config), &options),
        "calibration: trial 0, step 7: the working memory is not finite"
    );
    let wild = Options {
        residual_headroom: 0.5,
        ..Options::default()
    };
    let said = attempt(&calibration, &mut toy(config), &wild);
    assert!(said.contains("residual_headroom is 0.5"), "{said}");
    let mut source = toy(config);
    let mut endless = move |words: Option<&[i16]>| GoldenInput {
        done: false,
        ..source(words)
    };
    let said = attempt(&calibration, &mut endless, &options);
    assert!(
        said.contains("no episode ended within the 64 steps"),
        "{said}"
    );
    let mut source = toy(config);
    let mut short = move |words: Option<&[i16]>| GoldenInput {
        observation: vec![0.0],
        ..source(words)
    };
    let said = attempt(&calibration, &mut short, &options);
    assert!(
        said.contains("step 0: 1 observations; the policy takes 3"),
        "{said}"
    );
    let mut other = contract();
    other.actions = List::from_slice(&other.actions[..1]);
    let said = export(
        &good,
        &other,
        &calibration,
        &mut toy(config),
        &options,
        "0.1.0",
    )
    .expect_err("a refusal");
    assert_eq!(said.to_string(), "the policy has 2 actions, the contract 1");
}

#[test]
fn dead_and_extreme_parameters_export_or_are_named() {
    let mut numbers = Numbers::new(8);
    let config = config(Positions::Age, HeadInput::Mixed, 6);
    let calibration = trials(&config, &mut numbers, 2, 40);
    let tensors = random_tensors(&config, &mut numbers);
    let with = |change: &dyn Fn(&str, &mut Vec<f32>)| {
        let mut changed = tensors.clone();
        changed
            .iter_mut()
            .for_each(|(name, tensor)| change(name, &mut tensor.values));
        Network::new(&config.into(), 5.0, &changed).map(|network| {
            let checkpoint = Checkpoint {
                network,
                ..checkpoint(config, &mut Numbers::new(1))
            };
            export(
                &checkpoint,
                &contract(),
                &calibration,
                &mut toy(config),
                &Options::default(),
                "0.1.0",
            )
        })
    };
    // All matrices zero, or all parameters: a policy that does nothing is a policy.
    for ending in ["weight", ""] {
        let zero = |name: &str, values: &mut Vec<f32>| {
            if name.ends_with(ending) && name != "normalizer.std" {
                values.fill(0.0);
            }
        };
        let exported = with(&zero).expect("parameters").expect("an image");
        assert!(
            exported.report.errors.max < 0.01,
            "{:?}",
            exported.report.errors
        );
    }
    // One dead row, one dead hidden unit, one row a million times the others.
    let odd = |name: &str, values: &mut Vec<f32>| match name {
        "layers.0.ff.linear1.weight" => values[..32].fill(0.0),
        "layers.1.ff.linear1.bias" => values[3] = -1e6,
        "layers.1.attention.in_proj.weight" => values[..32].iter_mut().for_each(|w| *w *= 1e-12),
        "layers.0.attention.age_bias" => values[0] = -1e9,
        _ => (),
    };
    let exported = with(&odd).expect("parameters").expect("an image");
    assert!(
        exported.report.errors.snr_db > 20.0,
        "{:?}",
        exported.report.errors
    );
    let huge = |name: &str, values: &mut Vec<f32>| {
        if name == "head.2.weight" {
            values[0] = f32::MAX;
        }
    };
    let said = match with(&huge).expect("parameters") {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(
        said.is_empty() || said.contains("head.third") || said.contains("finite"),
        "{said}"
    );
    let nan = |name: &str, values: &mut Vec<f32>| {
        if name == "head.1.bias" {
            values[2] = f32::NAN;
        }
    };
    match with(&nan) {
        Err(engram_export::parameters::ParametersError::Tensor(TensorError::NotFinite {
            name,
            index,
            ..
        })) => {
            assert_eq!((name.as_str(), index), ("head.1.bias", 2));
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
}

/// The action is infinite in one step alone, and that step is named: in the middle, and the last of all.
#[test]
fn an_action_that_is_no_number_is_named_by_its_own_step() {
    let config = config(Positions::Age, HeadInput::Mixed, 4);
    let mut numbers = Numbers::new(9);
    let mut tensors = random_tensors(&config, &mut numbers);
    // The head sees the first observation of the newest working memory, and its last layer overflows where that is large.
    for (name, tensor) in &mut tensors {
        let columns = tensor.shape.get(1).copied().unwrap_or(1);
        let values = &mut tensor.values;
        match name.as_str() {
            "normalizer.mean" => values.fill(0.0),
            "normalizer.std" => values.fill(1.0),
            "head.0.weight" => {
                values[..columns].fill(0.0);
                values[config.model] = 1000.0;
            }
            "head.0.bias" => values[0] = -1000.0,
            "head.1.weight" => {
                values[..columns].fill(0.0);
                values[0] = 1000.0;
            }
            "head.1.bias" => values[0] = 1000.0,
            "head.2.weight" => values[..2].fill(f32::MAX),
            "embed.weight" => {
                values[..columns].fill(0.0);
                values[0] = 1.0;
            }
            _ => (),
        }
        if name == "head.2.weight" {
            values[2..columns].fill(0.0);
        }
        if name == "head.1.weight" {
            values[columns..2 * columns].copy_from_slice(&vec![0.0; columns]);
            values[columns] = 1000.0;
        }
        if name == "head.1.bias" {
            values[1] = 1000.0;
        }
    }
    let checkpoint = Checkpoint {
        network: network(config, &tensors),
        ..checkpoint(config, &mut Numbers::new(1))
    };
    let policy = checkpoint.transformer().expect("one");
    let quiet = vec![0.0; config.inputs()];
    let mut loud = quiet.clone();
    loud[0] = 4.0;
    for (trial, step) in [(0, 2), (0, 4), (1, 4)] {
        let mut trials = vec![vec![quiet.clone(); 5]; 2];
        trials[trial][step] = loud.clone();
        let said = Calibration::measure(policy, &trials).expect_err("an infinite action");
        assert_eq!(
            said.to_string(),
            format!("trial {trial}, step {step}: the action mean is not finite")
        );
    }
    let trials = vec![vec![quiet; 5]; 2];
    Calibration::measure(policy, &trials).expect("finite without it");
}

/// A policy whose function does not change, but in whose residual stream one channel stands far above the others.
#[test]
fn the_channel_that_takes_the_range_is_named() {
    let config = config(Positions::Age, HeadInput::Encoder, 8);
    let mut numbers = Numbers::new(11);
    let calibration = trials(&config, &mut numbers, 9, 60);
    let mut tensors = random_tensors(&config, &mut numbers);
    let measured = |tensors: &Tensors, options: &Options| {
        let checkpoint = Checkpoint {
            network: network(config, tensors),
            ..checkpoint(config, &mut Numbers::new(1))
        };
        export(
            &checkpoint,
            &contract(),
            &calibration,
            &mut toy(config),
            options,
            "0.1.0",
        )
        .expect("an image")
        .report
    };
    let plain = measured(&tensors, &Options::default());
    let (outlier, d) = (13, config.model);
    for (name, tensor) in &mut tensors {
        let values = &mut tensor.values;
        if name == "layers.0.ff.linear2.bias" {
            values[outlier] += 2000.0;
        } else if name == "layers.1.attention.in_proj.weight"
            || name == "layers.1.ff.linear1.weight"
            || name == "head.0.weight"
        {
            values
                .iter_mut()
                .skip(outlier)
                .step_by(d)
                .for_each(|w| *w = 0.0);
        }
    }
    let spoiled = measured(&tensors, &Options::default());
    println!("{} -> {}", plain.coarsest(), spoiled.coarsest());
    println!("{:?} -> {:?}", plain.errors.rms, spoiled.errors.rms);
    assert!(spoiled.errors.rms > 5.0 * plain.errors.rms);
    let said = spoiled.coarsest();
    assert!(said.contains("channel 13 of the residual stream"), "{said}");
}
