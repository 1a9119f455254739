//! `engram policy`: the integer policy of an image for a program in any language.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use engram_export::{PackedWeights, verify};
use engram_image::Image;
use engram_image::write::in_rows;
use serde_json::json;

use super::inspect::contract_json;
use crate::batch::Batch;
use crate::hexadecimal::hexadecimal;

/// Run a policy for a script: one JSON line in, one JSON line out.
#[derive(clap::Args, Debug)]
#[command(after_help = r#"Example:
  echo '{"observation": [[-1.0, 0.0, 0.3]]}' | engram policy pendulum.engram --batch 1
  {"action":[[7.25]]}

Each line holds one entry per row of the batch:
  observation     one value per channel, in the contract's units and order; required
  reward          of the step before; may be absent where the contract has a formula
  done            true when an episode ended just before this step
  reset           true to empty the memory first: a new trial
  applied_action  the command really issued at the step before; by default the action of the last answer
A row's memory lives from line to line until it is reset. A line that cannot be used is answered by
{"error": "..."}, changes no memory, and makes the exit code 1 at the end."#)]
pub struct Args {
    /// The image.
    file: PathBuf,
    /// Rows of every line: memories that run side by side.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Print the contract as one JSON object and read nothing.
    #[arg(long)]
    describe: bool,
}

/// Serves lines until the input ends.
///
/// # Errors
/// The file is not a valid image, the input cannot be read, or lines were refused.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    // This machine computes in rows; what is no image is refused below.
    let bytes = in_rows(bytes.clone()).unwrap_or(bytes);
    let image = match Image::read(&bytes) {
        Ok(image) => image,
        Err(error) => bail!(
            "{} is not a valid image: {error}; `engram export` makes one",
            args.file.display()
        ),
    };
    verify(&bytes).with_context(|| format!("{}: a board would refuse it", args.file.display()))?;
    if args.describe {
        let mut described = contract_json(&image.contract);
        described["plant"] = json!(image.provenance.plant);
        described["weights_sha256"] = json!(hexadecimal(&image.weights_sha256));
        println!("{described}");
        return Ok(());
    }
    let weights = PackedWeights::new(&image);
    let batch = Batch::new(weights.policy(&image), args.batch as usize);
    let refused = serve(batch, std::io::stdin().lock(), std::io::stdout().lock())?;
    if refused > 0 {
        bail!("lines refused: {refused}; each was answered by its error");
    }
    Ok(())
}

/// Answers every line that is not blank, and counts those that were refused.
fn serve(mut batch: Batch<'_>, input: impl BufRead, mut output: impl Write) -> anyhow::Result<u64> {
    let mut refused = 0;
    for (number, line) in input.lines().enumerate() {
        let line = line.context("reading a line")?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = batch.answer(&line).unwrap_or_else(|error| {
            refused += 1;
            json!({ "error": format!("line {}: {error}", number + 1) })
        });
        writeln!(output, "{answer}").context("writing an answer")?;
        // The other side waits for this line.
        output.flush().context("writing an answer")?;
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::tests::image;

    #[test]
    fn every_line_is_answered_and_refusals_are_counted() {
        let bytes = image();
        let image = Image::read(&bytes).expect("an image");
        let input =
            "{\"observation\": [[-1, 0, 0.5]]}\n\nnonsense\n{\"observation\": [[-1, 0, 0.5]]}\n";
        let mut output = Vec::new();
        let refused = serve(Batch::new(&image, 1), input.as_bytes(), &mut output).expect("served");
        let lines: Vec<&str> = std::str::from_utf8(&output)
            .expect("text")
            .lines()
            .collect();
        assert_eq!((refused, lines.len()), (1, 3));
        assert!(lines[0].starts_with("{\"action\":[["), "{}", lines[0]);
        assert!(
            lines[1].starts_with("{\"error\":\"line 3: not a JSON object"),
            "{}",
            lines[1]
        );
        assert!(lines[2].starts_with("{\"action\":[["), "{}", lines[2]);
    }
}
