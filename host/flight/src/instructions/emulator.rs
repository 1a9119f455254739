//! QEMU with the plugin that counts, on one bench program and one image.

use std::path::Path;
use std::process::{Command, Stdio};

use super::program::Program;
use super::{CountError, at};
use crate::board::{AARCH64_LIBRARIES, Bench};

/// Everything that a run needs but the image.
pub(super) struct Run<'a> {
    pub(super) emulator: &'a Path,
    pub(super) bench: &'a Bench,
    pub(super) program: &'a Program,
    /// Where files may be left.
    pub(super) folder: &'a Path,
}

/// What the program printed, and what the plugin wrote.
pub(super) struct Said {
    pub(super) text: String,
    /// For every region its instructions, and those of every function.
    pub(super) counts: String,
    /// The memory that the regions touched.
    pub(super) touched: String,
}

impl Run<'_> {
    /// Runs the program on an image to its end. `path`: on which instructions, for a Linux program.
    ///
    /// # Errors
    /// QEMU cannot be started, or a file cannot be written.
    pub(super) fn start(&self, path: &str, image: &[u8]) -> Result<Said, CountError> {
        let file = |name| self.folder.join(name);
        let (image_file, counts, touched) = (file("image"), file("counts"), file("touched"));
        std::fs::write(&image_file, image).map_err(|cause| at(&image_file, cause))?;
        for old in [&counts, &touched] {
            let _ = std::fs::remove_file(old);
        }
        let plugin = self.plugin(&counts, &touched);
        let mut command = Command::new(self.emulator);
        match self.bench.machine {
            Some((machine, address)) => {
                let loader = format!(
                    "loader,file={},addr={address:#x},force-raw=on",
                    image_file.display()
                );
                command
                    .args(["-machine", machine, "-nographic", "-monitor", "none"])
                    .args(["-serial", "none", "-device", &loader])
                    .args(["-semihosting-config", "enable=on,target=native"])
                    .args(["-plugin", &plugin, "-kernel"])
                    .arg(&self.bench.program);
            }
            None => {
                command
                    .args(["-cpu", "max", "-L", AARCH64_LIBRARIES, "-plugin", &plugin])
                    .args([&self.bench.program, &image_file])
                    .arg(path);
            }
        }
        let done = command
            .stdin(Stdio::null())
            .output()
            .map_err(|cause| at(self.emulator, cause))?;
        // QEMU's semihosting console is its standard error.
        let text = [done.stdout, done.stderr].concat();
        Ok(Said {
            text: String::from_utf8_lossy(&text).replace('\0', ""),
            counts: std::fs::read_to_string(&counts).unwrap_or_default(),
            touched: std::fs::read_to_string(&touched).unwrap_or_default(),
        })
    }

    /// The plugin and what it is told.
    fn plugin(&self, counts: &Path, touched: &Path) -> String {
        let Program {
            begin, end, code, ..
        } = self.program;
        let mut plugin = format!(
            "{},out={},touched={},begin={begin:x},end={end:x}",
            self.bench.plugin.display(),
            counts.display(),
            touched.display()
        );
        if self.bench.machine.is_none() {
            plugin += &format!(",code={code:x}");
        }
        for function in &self.program.functions {
            plugin += &format!(",range={:x}-{:x}", function.low, function.high);
        }
        plugin
    }
}
