//! What lines do to rows, and how they are refused.

use serde_json::Value;

use engram_firmware::policy::LargestMemory;

use super::*;

use crate::export::test_image as image_bytes;

fn batch<'a>(image: &'a Image<'a>, rows: usize) -> Batch<'a> {
    Batch::new(image, Policy::from(image), rows).expect("room")
}

/// The answer to a line that is one.
fn answer(batch: &mut Batch<'_>, line: &str) -> Value {
    let answer = batch
        .answer(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    serde_json::from_slice(answer).expect("JSON")
}

fn action(answer: &Value, row: usize) -> f32 {
    answer["action"][row][0].as_f64().expect("a number") as f32
}

#[test]
fn rows_are_policies_side_by_side_with_formula_reward_and_issued_command() {
    let bytes = image_bytes();
    let image = Image::read(&bytes).expect("an image");
    let mut rows = batch(&image, 2);
    let mut memory = LargestMemory::new();
    let mut words = [0_i16];
    for step in 0..20 {
        let rate = 0.3 * f64::from(step) - 2.0;
        let line = format!(r#"{{"observation": [[-1.0, 0.0, {rate}], [1, 0, 0]]}}"#);
        let said = answer(&mut rows, &line);
        let observation = [-1.0, 0.0, rate as f32];
        let issued = words;
        let Reward::Formula(formula) = &image.contract.reward else {
            panic!("a formula")
        };
        let command = command_from_word(issued[0], -12.0, 12.0);
        let reward = if step == 0 {
            0.0
        } else {
            formula.evaluate(&observation, &[command])
        };
        let moment = WorkingMemory {
            observation: &observation,
            issued: &issued,
            reward,
            done: false,
        };
        Policy::from(&image)
            .step(&mut memory, &moment, &mut words, &mut ())
            .expect("a step");
        assert_eq!(
            action(&said, 0),
            command_from_word(words[0], -12.0, 12.0),
            "step {step}"
        );
    }
}

#[test]
fn a_reset_row_is_a_new_one_and_what_was_applied_counts() {
    let bytes = image_bytes();
    let image = Image::read(&bytes).expect("an image");
    let first = r#"{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]]}"#;
    let fresh = action(&answer(&mut batch(&image, 2), first), 0);
    let mut rows = batch(&image, 2);
    for _ in 0..5 {
        answer(
            &mut rows,
            r#"{"observation": [[-1, 0, 9], [-1, 0, 9]], "done": [0, true]}"#,
        );
    }
    let line = r#"{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]], "reset": [true, false]}"#;
    let said = answer(&mut rows, line);
    assert_eq!(action(&said, 0), fresh);
    assert_ne!(action(&said, 1), fresh);
    let applied = |torque: f32| {
        let mut rows = batch(&image, 2);
        answer(&mut rows, first);
        let line = format!(
            r#"{{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]], "applied_action": [[{torque}], [{torque}]]}}"#
        );
        action(&answer(&mut rows, &line), 0)
    };
    assert_ne!(applied(12.0), applied(-12.0));
}

#[test]
fn refusals_name_row_field_and_bound_and_change_nothing() {
    let bytes = image_bytes();
    let image = Image::read(&bytes).expect("an image");
    let mut rows = batch(&image, 2);
    let good = r#"{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]], "reset": [1, 1]}"#;
    let before = answer(&mut rows, good);
    for (line, expected) in [
        ("[1]", "not a JSON object: found a list"),
        (
            "{",
            "not a JSON object: expected `}` at byte 2; found the end of the line",
        ),
        ("nonsense", "not a JSON object: found nonsense"),
        (
            r#"{"done": [0, 0] "reward": [0, 0]}"#,
            "expected `,` or `}` at byte 17; found \"reward\"",
        ),
        (
            r#"{"done" [0, 0]}"#,
            "expected `:` after the key \"done\" at byte 9; found a list",
        ),
        (
            r#"{"done": [0, 0]} []"#,
            "expected the end of the line at byte 18; found a list",
        ),
        (
            r#"{"done": [0, 0], "done": [1, 1]}"#,
            "field `done` is given twice",
        ),
        (
            r#"{"done": [0, 0"#,
            "expected `,` or `]` at byte 15; found the end of the line",
        ),
        (
            r#"{"done": [0, 0, [[1, "]"], {}]]}"#,
            "`done` must be a list of 2 rows; found 3",
        ),
        (r#"{"reward": [0, 0]}"#, "field `observation` is missing"),
        (
            r#"{"observations": []}"#,
            "unknown field `observations`; there are observation, reward",
        ),
        (
            r#"{"observation": [[0,0,0]]}"#,
            "field `observation` must be a list of 2 rows; found 1",
        ),
        (
            r#"{"observation": [0,0,0]}"#,
            "row 0, observation: expected a list of 3 numbers, or an object of them by channel name; found 0",
        ),
        (
            r#"{"observation": 3}"#,
            "field `observation` must be a list of 2 rows; found 3",
        ),
        (
            r#"{"observation": [[0,0,0],[0,0]]}"#,
            "row 1, observation: expected a list of 3 numbers; found a list of 2",
        ),
        (
            r#"{"observation": [[0,0,0],{"cos_angle": 0, "sin_angle": 0, "speed": 0}]}"#,
            "row 1, observation: unknown channel `speed`; there are cos_angle, sin_angle, rate",
        ),
        (
            r#"{"observation": [[0,0,0],{"cos_angle": 0, "sin_angle": 0}]}"#,
            "row 1, observation: channel `rate` is missing",
        ),
        (
            r#"{"observation": [{"cos_angle": 0, "sin_angle": 0, "rate": 0, "s\u0069n_angle": 0},[0,0,0]]}"#,
            "row 0, observation: channel `sin_angle` is given twice",
        ),
        (
            r#"{"observation": [{"cos_angle": 0, "sin_angle": NaN, "rate": 0},[0,0,0]]}"#,
            "row 0, observation.sin_angle: expected a finite number (f32); found NaN, which no JSON has",
        ),
        (
            r#"{"observation": [[0,0,-Infinity],[0,0,0]]}"#,
            "(rate): expected a finite number (f32); found -Infinity, which no JSON has",
        ),
        (
            r#"{"observation": [[0,0,1e400],[0,0,0]]}"#,
            "(rate): expected a finite number (f32); found 1e400, beyond the largest f32, 3.4e38",
        ),
        (
            r#"{"observation": [[0,0,-1e39],[0,0,0]]}"#,
            "(rate): expected a finite number (f32); found -1e39, beyond the largest f32, 3.4e38",
        ),
        (
            r#"{"observation": [[0,0,[0]],[0,0,0]]}"#,
            "(rate): expected a finite number (f32); found a list",
        ),
        (
            r#"{"observation": [[0,0,],[0,0,0]]}"#,
            "(rate): expected a finite number (f32); found `]`",
        ),
        (
            r#"{"observation": [[0,0,+1],[0,0,0]]}"#,
            "(rate): expected a finite number (f32); found +1",
        ),
        (
            r#"{"observation": [[0,0,0],[0,0,0]], "applied_action": [{"torque": 0},{"tork": 0}]}"#,
            "row 1, applied_action: unknown channel `tork`; there are torque",
        ),
        (
            r#"{"observation": [[0,0,0],[0,0,"x"]]}"#,
            "row 1, observation[2] (rate): expected a finite number (f32); found \"x\"",
        ),
        (
            r#"{"observation": [[0,0,0],[0,0,1e200]]}"#,
            "row 1, observation[2] (rate): expected a finite number",
        ),
        (
            r#"{"observation": [[0,0,90],[0,0,0]]}"#,
            "row 0, observation[2] (rate): 90 is outside -48..=48 rad/s",
        ),
        (
            r#"{"observation": [[0,0,0],[0,0,0]], "applied_action": [[0],[12.5]]}"#,
            "row 1, applied_action[0] (torque): 12.5 is outside -12..=12 Nm",
        ),
        (
            r#"{"observation": [[0,0,0],[0,0,0]], "done": [0, 2]}"#,
            "row 1, done: expected true, false, 1 or 0; found 2",
        ),
        (
            r#"{"observation": [[0,0,0],[0,0,0]], "reward": [null, 0]}"#,
            "row 0, reward: expected a finite number (f32); found null",
        ),
    ] {
        let said = rows.answer(line).expect_err(line).to_string();
        assert!(said.contains(expected), "{line}: {said}");
    }
    // The second step of a batch that met errors is the second step of one that did not.
    let next = r#"{"observation": [[0.1, 0.5, 1.0], [0.5, 0.5, 1.0]]}"#;
    let mut clean = batch(&image, 2);
    assert_eq!(answer(&mut clean, good), before);
    assert_eq!(answer(&mut clean, next), answer(&mut rows, next));
}

#[test]
fn an_external_reward_may_not_be_absent() {
    let bytes = image_bytes();
    let mut image = Image::read(&bytes).expect("an image");
    image.contract.reward = Reward::External;
    let mut rows = batch(&image, 1);
    let said = rows
        .answer(r#"{"observation": [[0, 0, 0]]}"#)
        .expect_err("a refusal")
        .to_string();
    assert!(
        said.starts_with("field `reward` is missing: this contract's reward is external"),
        "{said}"
    );
    answer(
        &mut rows,
        r#"{"observation": [[0, 0, 0]], "reward": [0.5]}"#,
    );
}

#[test]
fn channels_may_go_by_name_in_any_order_and_are_answered_by_name() {
    let bytes = image_bytes();
    let image = Image::read(&bytes).expect("an image");
    let (mut listed, mut named, mut mixed) = (batch(&image, 2), batch(&image, 2), batch(&image, 2));
    for step in 0..5 {
        let rate = 0.3 * f64::from(step) - 1.0;
        let expected = answer(
            &mut listed,
            &format!(
                r#"{{"observation": [[-1, 0.5, {rate}], [1, 0, 0]], "applied_action": [[{rate}], [0]]}}"#
            ),
        );
        let by_name = answer(
            &mut named,
            &format!(
                r#"{{"observation": [{{"rate": {rate}, "cos_angle": -1, "sin_angle": 0.5}}, {{"cos_angle": 1, "sin_angle": 0, "rate": 0}}], "applied_action": [{{"torque": {rate}}}, {{"torque": 0}}]}}"#
            ),
        );
        let rowwise = answer(
            &mut mixed,
            &format!(
                r#"{{"observation": [[-1, 0.5, {rate}], {{"cos_angle": 1, "sin_angle": 0, "rate": 0}}], "applied_action": [{{"torque": {rate}}}, [0]]}}"#
            ),
        );
        for row in 0..2 {
            let command = &expected["action"][row][0];
            assert!(command.is_number());
            assert_eq!(
                by_name["action"][row],
                serde_json::json!({ "torque": command })
            );
        }
        assert_eq!(rowwise["action"][0], expected["action"][0]);
        assert_eq!(rowwise["action"][1], by_name["action"][1]);
    }
}

#[test]
fn no_nesting_is_too_deep() {
    let bytes = image_bytes();
    let image = Image::read(&bytes).expect("an image");
    let mut rows = batch(&image, 1);
    let deep = "[".repeat(1_000_000);
    for line in [
        deep.clone(),
        format!(r#"{{"observation": {deep}"#),
        format!(r#"{{"observation": [[0, 0, 0], {deep}"#),
        format!(
            r#"{{"observation": [[0, 0, 0, {}]]}}"#,
            deep.replace('[', r#"{"a":"#)
        ),
    ] {
        rows.answer(&line).expect_err("refused");
    }
}

#[test]
fn what_is_no_text_is_named_and_the_lines_after_it_are_taken() {
    let good = r#"{"observation": [[-1, 0, 0.3]]}"#;
    let read = |input: &[u8], longest: usize| -> Vec<String> {
        let mut lines = Lines::new(std::io::BufReader::with_capacity(7, input), longest);
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().expect("a slice") {
            all.push(line.map_or_else(|error| error.to_string(), str::to_owned));
        }
        all
    };
    let with = |before: &[u8]| [before, good.as_bytes()].concat();
    assert_eq!(read(&with(b"\xef\xbb\xbf"), 100), [good]);
    assert_eq!(read(&with(b"\r\n\n"), 100), ["\r", "", good]);
    assert_eq!(
        read(&with(b"# Ger\xe4t\n"), 100),
        [
            "byte 6 is 0xe4: it is no UTF-8; a line is JSON in UTF-8",
            good
        ]
    );
    assert_eq!(
        read(&with(b"{\0\"\0\n"), 100),
        [
            "byte 2 is 0x00: no text has one (is it UTF-16?); a line is JSON in UTF-8",
            good
        ]
    );
    assert_eq!(
        read(&with(&[b" ".repeat(101), b"\n".to_vec()].concat()), 100),
        [
            "a line of 101 bytes; one for this batch has at most 100",
            good
        ]
    );
    assert_eq!(read(&b" ".repeat(100), 100), [" ".repeat(100)]);
    for (mark, order) in [
        ([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]),
        ([0xfe, 0xff], u16::to_be_bytes),
    ] {
        let mut utf16 = mark.to_vec();
        utf16.extend(format!("{good}\n{good}\n").encode_utf16().flat_map(order));
        let said = read(&utf16, 100);
        let (refusals, rest) = said.split_at(2);
        assert!(
            refusals
                .iter()
                .all(|said| said.starts_with("this is UTF-16")),
            "{said:?}"
        );
        assert!(rest.iter().all(String::is_empty), "{said:?}");
    }
}

#[test]
fn a_row_takes_at_most_twice_its_state_and_too_many_are_refused_with_the_numbers() {
    let bytes = image_bytes();
    let image = Image::read(&bytes).expect("an image");
    let refusal = Batch::new(&image, Policy::from(&image), usize::MAX >> 20)
        .map(|_| ())
        .expect_err("no room");
    let state = image.config.state_bytes();
    assert!(
        refusal.row_bytes < 2 * state,
        "{} of {state}",
        refusal.row_bytes
    );
    let said = refusal.to_string();
    let rows = (usize::MAX >> 20).to_string();
    assert!(said.starts_with(&format!("{rows} rows of ")), "{said}");
    assert!(said.contains(" MiB are free; ask for fewer rows"), "{said}");
}
