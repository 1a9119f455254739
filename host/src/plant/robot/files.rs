//! The files that a robot is made of: its own, its MuJoCo model, and what the model names (included documents,
//! meshes, height fields, textures); and whether they are still what they were when a run began.
//!
//! What is compared is what a file means: a comment, a space or the order of keys makes no other robot.
//! Files are found as MuJoCo finds them. One that MuJoCo would not find either is left out: loading the model tells.

use std::path::{Path, PathBuf};

use engram_export::checkpoint::RobotFile;
use sha2::{Digest, Sha256};

use super::meaning::{self, Kind};
use super::{Robot, RobotError, is_file, load};
use crate::hexadecimal::hexadecimal;

/// A file now: by its meaning, and by its bytes, as earlier versions noted it.
struct Now {
    file: String,
    meaning: String,
    bytes: String,
}

impl Now {
    fn is(&self, sha256: &str) -> bool {
        self.meaning == sha256 || self.bytes == sha256
    }
}

/// The files of a plant's robot, its own first and its model second; none for a plant that is no robot's file.
///
/// # Errors
/// When a file cannot be read, or the robot's own is not right.
pub fn files_of(plant: &str) -> Result<Vec<RobotFile>, RobotError> {
    if is_file(plant) {
        let files = files(load(plant)?)?.into_iter();
        let noted = files.map(|now| RobotFile {
            file: now.file,
            sha256: now.meaning,
        });
        Ok(noted.collect())
    } else {
        Ok(Vec::new())
    }
}

/// Refuses a plant whose robot is not what it was when a run began. Runs on other plants, and of versions that did
/// not note the files, have nothing to compare.
///
/// # Errors
/// [`RobotError::Changed`] names the first file that differs.
pub fn check_unchanged(plant: &str, then: &[RobotFile]) -> Result<(), RobotError> {
    let (Some(own), true) = (then.first(), is_file(plant)) else {
        return Ok(());
    };
    let now = files(load(plant)?)?;
    // The robot's own file may have another name by now; the others are called as it, or its model, calls them.
    let same_robot = now.first().is_some_and(|file| file.is(&own.sha256));
    let stays = |then: &RobotFile| {
        let mut same_name = now.iter().filter(|now| now.file == then.file);
        same_name.any(|now| now.is(&then.sha256))
    };
    let changed = if same_robot {
        (then.iter().skip(1)).find(|file| !stays(file))
    } else {
        Some(own)
    };
    match changed {
        None => Ok(()),
        Some(file) => Err(RobotError::Changed {
            file: file.file.clone(),
        }),
    }
}

fn files(robot: &Robot) -> Result<Vec<Now>, RobotError> {
    let folder = robot.file.parent().unwrap_or(Path::new(""));
    let entry = |path: &Path, content: &[u8], kind| Now {
        file: path
            .strip_prefix(folder)
            .unwrap_or(path)
            .display()
            .to_string(),
        meaning: meaning::sha256(content, kind),
        bytes: hexadecimal(&Sha256::digest(content)),
    };
    // What this process flies is the text that it read, and not what the file may hold by now.
    let mut files = vec![entry(&robot.file, robot.text.as_bytes(), Kind::Toml)];
    for path in with_named(&robot.model) {
        let content = std::fs::read(&path).map_err(|error| RobotError::Model {
            path: path.display().to_string(),
            message: format!("cannot be read: {error}"),
        })?;
        files.push(entry(&path, &content, Kind::Model));
    }
    Ok(files)
}

/// The model's file and those that it names.
fn with_named(model: &Path) -> Vec<PathBuf> {
    let home = model.parent().unwrap_or(Path::new(""));
    let mut documents = vec![model.to_owned()];
    let mut folders = Vec::new();
    let mut assets = Vec::new();
    let mut read = 0;
    while let Some(document) = documents.get(read).cloned() {
        read += 1;
        let here = document.parent().unwrap_or(home);
        for Named {
            element,
            attribute,
            value,
        } in names(&document)
        {
            match (element.as_str(), attribute.as_str()) {
                ("compiler", "meshdir" | "texturedir" | "assetdir") => {
                    folders.push(home.join(value))
                }
                // These are documents themselves.
                ("include" | "model", "file") => {
                    let found = first(&[home, here], &value);
                    documents.extend(found.filter(|path| !known(&documents, path)));
                }
                (_, attribute) if attribute.starts_with("file") => {
                    assets.push((here.to_owned(), value));
                }
                _ => {}
            }
        }
    }
    // At the end, because a <compiler> also holds for what stands before it.
    for (here, value) in assets {
        let mut places: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        places.extend([home, &here]);
        let found = first(&places, &value);
        documents.extend(found.filter(|path| !known(&documents, path)));
    }
    documents
}

/// An attribute of an MJCF document that may name a file or a folder.
struct Named {
    element: String,
    attribute: String,
    value: String,
}

fn names(document: &Path) -> Vec<Named> {
    let Ok(text) = std::fs::read_to_string(document) else {
        return Vec::new();
    };
    let xml = match roxmltree::Document::parse(&text) {
        Ok(xml) => xml,
        Err(error) => {
            tracing::warn!(
                "{}: {error}; changes of the files that it names will go unnoticed",
                document.display()
            );
            return Vec::new();
        }
    };
    xml.descendants()
        .flat_map(|element| {
            element.attributes().map(move |attribute| Named {
                element: element.tag_name().name().to_owned(),
                attribute: attribute.name().to_owned(),
                value: attribute.value().to_owned(),
            })
        })
        .collect()
}

/// The first of the folders that has such a file.
fn first(folders: &[&Path], name: &str) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Whether the file is among these, under any name: documents may name each other in a circle.
fn known(paths: &[PathBuf], path: &Path) -> bool {
    let same = |other: &PathBuf| other.canonicalize().ok() == path.canonicalize().ok();
    paths.iter().any(same)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const EXAMPLE: &str = include_str!("../../../../examples/robots/balancer.toml");
    const MODEL: &str = r#"<mujoco>
  <asset><mesh name="a" file="part.stl"/></asset>
  <include file="inner/wheels.xml"/>
  <compiler meshdir="meshes"/>
  <!-- <include file="left-out.xml"/> -->
</mujoco>"#;
    const WHEELS: &str = r#"<mujocoinclude>
  <texture fileright="sky.png"/> <mesh file="nowhere.stl"/> <include file="../balancer.xml"/>
</mujocoinclude>"#;

    /// A robot of five files.
    fn robot() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("robot.toml", EXAMPLE),
            ("balancer.xml", MODEL),
            ("inner/wheels.xml", WHEELS),
            ("inner/sky.png", "sky"),
            ("meshes/part.stl", "part"),
            ("part.stl", "of another robot"),
            ("left-out.xml", "<mujoco/>"),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let file = dir.path().join("robot.toml");
        (dir, file)
    }

    /// As a process that begins now sees it: `load` would keep the first text that it read.
    fn now(file: &Path) -> Vec<Now> {
        let text = fs::read_to_string(file).unwrap();
        files(&Robot::from_toml(&text, file).unwrap()).unwrap()
    }

    /// As a run notes it, and as one of an earlier version did.
    fn noted(file: &Path) -> [Vec<RobotFile>; 2] {
        let note = |of: fn(Now) -> (String, String)| {
            let files = now(file).into_iter().map(of);
            let files = files.map(|(file, sha256)| RobotFile { file, sha256 });
            files.collect()
        };
        [
            note(|now| (now.file, now.meaning)),
            note(|now| (now.file, now.bytes)),
        ]
    }

    #[test]
    fn a_robot_is_its_file_its_model_and_what_that_names() {
        let (_dir, file) = robot();
        let files = now(&file);
        let names: Vec<&str> = files.iter().map(|file| file.file.as_str()).collect();
        assert_eq!(
            names,
            [
                "robot.toml",
                "balancer.xml",
                "inner/wheels.xml",
                "meshes/part.stl",
                "inner/sky.png"
            ]
        );
        // sha256sum of "part".
        assert_eq!(
            files[3].meaning,
            "37a680133bd09342f934afb8dd2c7d9e1b624da5f35e3a38adb103e37c055ed1"
        );
    }

    #[test]
    fn what_changed_is_named() {
        for (changed, from, to) in [
            ("balancer.xml", "name=\"a\"", "name=\"b\""),
            ("inner/wheels.xml", "<mesh", "<mesh name=\"m\""),
            ("meshes/part.stl", "part", "Part"),
        ] {
            for version in 0..2 {
                let (dir, file) = robot();
                let then = &noted(&file)[version];
                let plant = file.to_str().unwrap();
                check_unchanged(plant, then).unwrap();
                let path = dir.path().join(changed);
                let content = fs::read_to_string(&path).unwrap();
                assert!(content.contains(from));
                fs::write(path, content.replacen(from, to, 1)).unwrap();
                let error = check_unchanged(plant, then).unwrap_err().to_string();
                assert!(error.contains(changed), "{changed}: {error}");
            }
        }
        let (dir, file) = robot();
        let [then, earlier] = noted(&file);
        let moved = dir.path().join("renamed.toml");
        fs::rename(&file, &moved).unwrap();
        check_unchanged(moved.to_str().unwrap(), &then).unwrap();
        check_unchanged(moved.to_str().unwrap(), &earlier).unwrap();
        let edited = dir.path().join("edited.toml");
        fs::write(&edited, EXAMPLE.replace("weight = 0.5", "weight = 0.6")).unwrap();
        let error = check_unchanged(edited.to_str().unwrap(), &then);
        assert_eq!(
            error,
            Err(RobotError::Changed {
                file: "robot.toml".to_owned()
            })
        );
    }

    #[test]
    fn comments_make_no_other_robot() {
        let (dir, file) = robot();
        let [then, earlier] = noted(&file);
        let commented = dir.path().join("commented.toml");
        let text = EXAMPLE.replace("weight = 0.5", "weight =   0.50   # half");
        fs::write(&commented, format!("# A comment.\n{text}")).unwrap();
        let model = MODEL.replace("<asset>", "<!-- A comment. -->\n\n  <asset >");
        fs::write(dir.path().join("balancer.xml"), model).unwrap();
        let plant = commented.to_str().unwrap();
        check_unchanged(plant, &then).unwrap();
        // A version that noted bytes cannot tell, and the message says so.
        let error = check_unchanged(plant, &earlier).unwrap_err().to_string();
        assert!(error.contains("noted every byte"), "{error}");
    }

    #[test]
    fn runs_without_robot_or_hashes_have_nothing_to_compare() {
        let (_dir, file) = robot();
        check_unchanged(file.to_str().unwrap(), &[]).unwrap();
        check_unchanged("pendulum", &noted(&file)[0]).unwrap();
        assert_eq!(files_of("pendulum"), Ok(Vec::new()));
    }
}
