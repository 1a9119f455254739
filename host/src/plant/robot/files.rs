//! The files that a robot is made of: its own, its MuJoCo model, and what the model names (included documents,
//! meshes, height fields, textures); and whether they are still what they were when a run began.
//!
//! Files are found as MuJoCo finds them. One that MuJoCo would not find either is left out: loading the model tells.

use std::path::{Path, PathBuf};

use engram_export::checkpoint::RobotFile;
use sha2::{Digest, Sha256};

use super::{Robot, RobotError, is_file, load};
use crate::hexadecimal::hexadecimal;

/// The files of a plant's robot, its own first and its model second; none for a plant that is no robot's file.
///
/// # Errors
/// When a file cannot be read, or the robot's own is not right.
pub fn files_of(plant: &str) -> Result<Vec<RobotFile>, RobotError> {
    if is_file(plant) {
        files(load(plant)?)
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
    let now = files_of(plant)?;
    // The robot's own file may have another name by now; the others are called as it, or its model, calls them.
    let same_text = now.first().is_some_and(|file| file.sha256 == own.sha256);
    let changed = if same_text {
        (then.iter().skip(1)).find(|file| !now.contains(file))
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

fn files(robot: &Robot) -> Result<Vec<RobotFile>, RobotError> {
    let folder = robot.file.parent().unwrap_or(Path::new(""));
    let entry = |path: &Path, content: &[u8]| RobotFile {
        file: path
            .strip_prefix(folder)
            .unwrap_or(path)
            .display()
            .to_string(),
        sha256: hexadecimal(&Sha256::digest(content)),
    };
    // What this process flies is the text that it read, and not what the file may hold by now.
    let mut files = vec![entry(&robot.file, robot.text.as_bytes())];
    for path in with_named(&robot.model) {
        let content = std::fs::read(&path).map_err(|error| RobotError::Model {
            path: path.display().to_string(),
            message: format!("cannot be read: {error}"),
        })?;
        files.push(entry(&path, &content));
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
    fn now(file: &Path) -> Vec<RobotFile> {
        let text = fs::read_to_string(file).unwrap();
        files(&Robot::from_toml(&text, file).unwrap()).unwrap()
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
            files[3].sha256,
            "37a680133bd09342f934afb8dd2c7d9e1b624da5f35e3a38adb103e37c055ed1"
        );
    }

    #[test]
    fn what_changed_is_named() {
        for changed in ["balancer.xml", "inner/wheels.xml", "meshes/part.stl"] {
            let (dir, file) = robot();
            let then = now(&file);
            let plant = file.to_str().unwrap();
            check_unchanged(plant, &then).unwrap();
            let path = dir.path().join(changed);
            let mut content = fs::read(&path).unwrap();
            content.push(b'\n');
            fs::write(path, content).unwrap();
            let error = check_unchanged(plant, &then).unwrap_err().to_string();
            assert!(error.contains(changed), "{changed}: {error}");
        }
        let (dir, file) = robot();
        let then = now(&file);
        let moved = dir.path().join("renamed.toml");
        fs::rename(&file, &moved).unwrap();
        check_unchanged(moved.to_str().unwrap(), &then).unwrap();
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
    fn runs_without_robot_or_hashes_have_nothing_to_compare() {
        let (_dir, file) = robot();
        check_unchanged(file.to_str().unwrap(), &[]).unwrap();
        check_unchanged("pendulum", &now(&file)).unwrap();
        assert_eq!(files_of("pendulum"), Ok(Vec::new()));
    }
}
