//! `scripts/set-up` where an emulator is missing, against an apt that answers as the real one does.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What apt says when an emulator from an older release needs the tools of its own version.
const REMOVES: &str = "\
Reading package lists...
The following packages will be REMOVED:
  qemu-utils
The following NEW packages will be installed:
  qemu-system-arm qemu-system-common
0 upgraded, 2 newly installed, 1 to remove and 130 not upgraded.
Remv qemu-utils [1:10.0.2+ds-2] [qemu-block-extra:amd64 ]
Remv qemu-block-extra [1:10.0.2+ds-2]
Inst qemu-system-common (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
Inst qemu-system-arm (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
Conf qemu-system-arm (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
";

/// The same where there is an older version of the tools, which it takes; and it purges one, and changes what the user has put on hold.
const CHANGES: &str = "\
Reading package lists...
The following held packages will be changed:
  libslirp0
The following NEW packages will be installed:
  qemu-system-arm
The following packages will be upgraded:
  libfdt1 libslirp0
The following packages will be DOWNGRADED:
  qemu-utils qemu-block-extra
2 upgraded, 1 newly installed, 2 downgraded, 1 to remove and 130 not upgraded.
Purg qemu-system-gui [1:10.0.2+ds-2]
Inst libfdt1 [1.6.1-4] (1.6.1-4+b1 Debian:12 [amd64])
Inst libslirp0 [4.7.0-1] (4.8.0-1 Debian:12 [amd64])
Inst qemu-utils [1:10.0.2+ds-2] (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
Inst qemu-block-extra [1:10.0.2+ds-2] (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
Inst qemu-system-arm (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
";

/// What it says where there is no way.
const UNMET: &str = "\
Reading package lists...
Some packages could not be installed. This may mean that you have
requested an impossible situation.
The following packages have unmet dependencies:
 qemu-system-arm : Depends: qemu-system-common (= 1:7.2) but 1:10.0.2 is to be installed
                   Depends: libslirp0 (>= 4.7) but it is not installable
E: Unable to correct problems, you have held broken packages.
";

/// The same where nothing is in the way.
const ADDS: &str = "\
Reading package lists...
The following NEW packages will be installed:
  qemu-system-arm
The following packages will be upgraded:
  libfdt1
1 upgraded, 1 newly installed, 0 to remove and 130 not upgraded.
Inst libfdt1 [1.6.1-4] (1.6.1-4+b1 Debian:12 [amd64])
Inst qemu-system-arm (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
Conf qemu-system-arm (1:7.2+dfsg-7+deb12u18 Debian:12 [amd64])
";

/// For each of them that would cost something or cannot be: what the script must name.
const IN_THE_WAY: [(&str, &[&str]); 3] = [
    (
        REMOVES,
        &[
            "remove qemu-utils [1:10.0.2+ds-2]",
            "remove qemu-block-extra [1:10.0.2+ds-2]",
        ],
    ),
    (
        CHANGES,
        &[
            "downgrade qemu-utils [1:10.0.2+ds-2] to 1:7.2+dfsg-7+deb12u18",
            "downgrade qemu-block-extra [1:10.0.2+ds-2] to 1:7.2",
            "remove qemu-system-gui [1:10.0.2+ds-2]",
            "change libslirp0, which is held",
        ],
    ),
    (
        UNMET,
        &[
            "qemu-system-arm : Depends: qemu-system-common (= 1:7.2) but 1:10.0.2 is",
            "Depends: libslirp0 (>= 4.7) but it is not installable",
        ],
    ),
];

/// A folder with the script and a PATH on which all is there but qemu-system-arm, and apt is one that notes what it is asked.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new(plan: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "scripts"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        for target in [
            "thumbv7em-none-eabihf",
            "thumbv8m.main-none-eabihf",
            "aarch64-unknown-linux-gnu",
        ] {
            let libraries = at("sysroot").join("lib/rustlib").join(target).join("lib");
            fs::create_dir_all(&libraries).expect("a folder");
            fs::write(libraries.join("libcore-0.rlib"), "").expect("a file");
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/set-up");
        fs::copy(script, at("scripts/set-up")).expect("the script");
        fs::write(at("plan"), plan).expect("a file");
        let machine = Self { folder };
        for tool in [
            "awk", "bash", "cat", "dirname", "env", "grep", "mkdir", "sed", "tail", "touch",
            "uname",
        ] {
            symlink(found(tool), machine.bin(tool)).expect("a link");
        }
        for tool in [
            "cc",
            "nm",
            "llvm-objdump",
            "openssl",
            "qemu-aarch64",
            "aarch64-linux-gnu-gcc",
            "cargo",
        ] {
            machine.program(tool, "exit 0");
        }
        machine.program("id", "echo 0");
        machine.program("rustc", "echo \"$ROOM/sysroot\"");
        machine.program("apt-get", APT);
        machine
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.folder.path().join("bin").join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let file = self.bin(name);
        fs::write(&file, format!("#!/usr/bin/env bash\n{text}\n")).expect("a program");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// Whether the script ends well, what it says, and what apt was asked.
    fn set_up(&self) -> (bool, String, String) {
        let output = Command::new(found("bash"))
            .arg(self.folder.path().join("scripts/set-up"))
            .arg("--yes")
            .env_clear()
            .env("PATH", self.folder.path().join("bin"))
            .env("ROOM", self.folder.path())
            .output()
            .expect("the script starts");
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        let asked = fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        (output.status.success(), said, asked)
    }
}

/// An apt: it shows the plan where it is asked to simulate, and carries it out otherwise.
const APT: &str = r#"echo "$*" >>"$ROOM/asked"
case " $* " in
    *" update "*) exit 0 ;;
    *" -s "*) cat "$ROOM/plan"; ! grep -q '^E:' "$ROOM/plan"; exit ;;
esac
if grep -q '^Remv' "$ROOM/plan"; then
    [[ " $* " == *" --no-remove "* ]] && exit 100
    touch "$ROOM/removed"
fi
echo "exit 0" >"$ROOM/bin/qemu-system-arm""#;

fn found(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::split_paths(&path)
        .map(|folder| folder.join(tool))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("{tool} is not on PATH"))
}

/// Questions other than simulations and updates.
fn installations(asked: &str) -> Vec<&str> {
    let only_asks = |line: &&str| line.contains(" -s ") || line.starts_with("-s ");
    asked
        .lines()
        .filter(|line| line.contains("install ") && !only_asks(line))
        .collect()
}

#[test]
fn what_would_cost_a_package_or_cannot_be_is_not_installed_and_is_named() {
    for (plan, named) in IN_THE_WAY {
        let machine = Machine::new(plan);
        let (well, said, asked) = machine.set_up();
        assert!(!well, "{said}");
        assert_eq!(installations(&asked), [] as [&str; 0], "{said}");
        // What is lost, and what to do.
        let advice = ["apt-cache policy", "provide qemu-system-arm"];
        for word in named.iter().chain(&advice) {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
        assert!(!said.contains("libfdt1"), "an upgrade is no loss: {said}");
    }
}

#[test]
fn what_only_adds_is_installed_and_even_then_nothing_may_be_removed() {
    let machine = Machine::new(ADDS);
    let (well, said, asked) = machine.set_up();
    assert!(well, "{said}");
    let installations = installations(&asked);
    assert_eq!(installations.len(), 1, "{asked}");
    assert!(installations[0].contains("--no-remove"), "{asked}");
    assert!(installations[0].contains("qemu-system-arm"), "{asked}");
    assert!(!asked.contains("--allow-downgrades") && !asked.contains("--force"));
    assert!(machine.bin("qemu-system-arm").exists());
}

#[test]
fn an_apt_that_changes_its_mind_removes_nothing() {
    let machine = Machine::new(REMOVES);
    // It shows one plan and would carry out another.
    machine.program(
        "apt-get",
        &APT.replace(
            "cat \"$ROOM/plan\"",
            "echo 'Inst qemu-system-arm (1 Debian [amd64])'",
        ),
    );
    let (well, said, _) = machine.set_up();
    assert!(!well && said.contains("apt-cache policy"), "{said}");
    assert!(!machine.folder.path().join("removed").exists());
}

#[test]
fn what_goes_with_an_installed_backport_is_taken_from_backports() {
    let machine = Machine::new(REMOVES);
    machine.program("dpkg-query", "echo '1:10.0.2+ds-2+deb13u1~bpo12+1'");
    fs::write(machine.folder.path().join("with backports"), ADDS).expect("a file");
    machine.program(
        "apt-get",
        &APT.replace(
            "case \" $* \" in",
            "case \" $* \" in\n    *-backports\\ *\" -s \"* | *\" -s \"*-backports\\ *) cat \"$ROOM/with backports\"; exit ;;",
        )
        .replace("if grep -q '^Remv'", "if [[ \" $* \" != *-backports\\ * ]] && grep -q '^Remv'"),
    );
    let (well, said, asked) = machine.set_up();
    assert!(well, "{said}");
    let installations = installations(&asked);
    assert_eq!(installations.len(), 1, "{asked}");
    assert!(installations[0].contains("--no-remove") && installations[0].contains("-backports "));
    assert!(!machine.folder.path().join("removed").exists());
    // The system's own lists are left alone.
    let update = asked.lines().find(|line| line.ends_with("-qq update"));
    assert!(
        update.is_some_and(
            |line| line.contains("Dir::State::Lists=") && line.contains("target/set-up")
        ),
        "{asked}"
    );
}
