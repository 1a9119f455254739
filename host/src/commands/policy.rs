//! `engram policy`: the integer policy of an image for a program in any language.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use engram_export::{PackedWeights, verify};
use engram_image::Image;
use engram_image::write::in_rows;
use serde_json::json;

use super::inspect::contract_json;
use crate::batch::{Batch, Lines};
use crate::output::{OutputError, say};

/// Run a policy for a script: one JSON line in, one JSON line out.
#[derive(clap::Args, Debug)]
#[command(after_help = r#"Example:
  echo '{"observation": [[-1.0, 0.0, 0.3]]}' | engram policy pendulum.engram --batch 1
  {"action":[[-7.566881]]}

Each line is JSON in UTF-8 and holds one entry per row of the batch:
  observation     one value per channel, in the contract's units: a list in the contract's order, or an
                  object by channel name, {"cos_angle": -1.0, "sin_angle": 0.0, "rate": 0.3}; required
  reward          of the step before; may be absent where the contract has a formula
  done            true when an episode ended just before this step
  reset           true to empty the memory first: a new trial
  applied_action  the command really issued at the step before, a list or an object like the observation;
                  by default the action of the last answer
A row is answered in the form in which its observation came: a list, or an object by channel name.
A row's memory lives from line to line until it is reset. A line that cannot be used is answered by
{"error": "..."}, changes no memory, and makes the exit code 1 at the end.
Where nobody reads the answers any more, the command ends."#)]
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
/// The file is not a valid image, the rows do not fit into memory, the input cannot be read, answers cannot be written, or lines
/// were refused.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bytes = engram_flight::image_file::read(&args.file)?;
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
        described["weights_sha256"] = json!(hex::encode(image.weights_sha256));
        return Ok(say!("{described}")?);
    }
    let weights = PackedWeights::new(&image);
    let batch = Batch::new(&image, weights.policy(&image), args.batch as usize)
        .with_context(|| format!("--batch {}", args.batch))?;
    let refused = serve(batch, std::io::stdin().lock(), std::io::stdout().lock())?;
    if refused > 0 {
        bail!("lines refused: {refused}; each was answered by its error");
    }
    Ok(())
}

/// Answers every line that is not blank, and counts those that were refused.
fn serve(mut batch: Batch<'_>, input: impl BufRead, mut output: impl Write) -> anyhow::Result<u64> {
    let mut refused = 0;
    let mut lines = Lines::new(input, batch.longest_line());
    while let Some(line) = lines.next_line().context("reading a line")? {
        let answer = match line {
            Ok(line) if line.trim_ascii().is_empty() => continue,
            Ok(line) => batch.answer(line),
            Err(error) => Err(error),
        };
        let written = match answer {
            Ok(answer) => output
                .write_all(answer)
                .and_then(|()| output.write_all(b"\n")),
            Err(error) => {
                refused += 1;
                let error = format!("line {}: {error}", lines.number());
                writeln!(output, "{}", json!({ "error": error }))
            }
        };
        // The other side waits for this line.
        written
            .and_then(|()| output.flush())
            .map_err(OutputError::from)?;
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::test_image as image;
    use engram_firmware::policy::Policy;

    #[test]
    fn every_line_is_answered_and_refusals_are_counted() {
        let bytes = image();
        let image = Image::read(&bytes).expect("an image");
        let input =
            "{\"observation\": [[-1, 0, 0.5]]}\n\nnonsense\n{\"observation\": [[-1, 0, 0.5]]}\n";
        let mut output = Vec::new();
        let refused = serve(
            Batch::new(&image, Policy::from(&image), 1).expect("room"),
            input.as_bytes(),
            &mut output,
        )
        .expect("served");
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
