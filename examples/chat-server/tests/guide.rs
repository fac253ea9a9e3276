//! Follows docs/guide.md as a reader would: writes what it says to write, and sees that each step compiles
//! and that the end of it is this project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What lies in a project: texts by their paths.
type Project = BTreeMap<String, String>;

const GUIDE: &str = include_str!("../../../docs/guide.md");
/// Where wharf lies, as the guide says it.
const WHARF: &str = "\"../wharf/crates/wharf\"";

#[test]
fn the_guide_ends_with_this_project() {
    let (_, end) = follow(GUIDE).pop().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in end.iter().filter(|(path, _)| *path != "Cargo.toml") {
        let own = fs::read_to_string(here.join(path)).unwrap_or_else(|it| panic!("{path}: {it}"));
        assert_eq!(own.replace("\r\n", "\n"), *text, "{path}, as the guide leaves it");
    }
    let dependencies = |manifest: &str| {
        let manifest: toml::Table = manifest.parse().unwrap();
        let mut dependencies = manifest["dependencies"].as_table().unwrap().clone();
        assert!(dependencies.remove("wharf").is_some());
        dependencies
    };
    let own = fs::read_to_string(here.join("Cargo.toml")).unwrap();
    assert_eq!(dependencies(&own), dependencies(&end["Cargo.toml"]));
    for file in fs::read_dir(here.join("src")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(end.contains_key(&format!("src/{name}")), "the guide does not have src/{name}");
    }
}

#[test]
fn each_step_of_the_guide_compiles() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    let _ = fs::remove_dir_all(&folder);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let wharf = workspace.parent().unwrap().join("crates/wharf");
    let steps = follow(GUIDE);
    for (step, project) in &steps {
        for (path, text) in project {
            // The versions of this workspace, so that nothing has to be fetched.
            let manifest = path == "Cargo.toml";
            let text = text.replace(WHARF, &format!("{:?}", wharf.display().to_string()));
            write(&folder.join(path), &text);
            if manifest {
                write(&folder.join("Cargo.toml"), &format!("{text}\n[workspace]\n"));
                fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
            }
        }
        let is_tested = project.contains_key("src/simulated.rs");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg(if is_tested { "test" } else { "check" });
        cargo.args(["--quiet", "--offline"]).current_dir(&folder);
        let output = cargo.env("CARGO_TARGET_DIR", target()).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        let is_fine = output.status.success() && !printed.contains("warning");
        assert!(is_fine, "after '{step}':\n{printed}");
        if is_tested {
            let printed = String::from_utf8_lossy(&output.stdout);
            assert!(printed.contains(" 3 passed"), "after '{step}':\n{printed}");
        }
    }
    assert!(steps.len() >= 10, "{} steps", steps.len());
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Where this test was built to, so that what the chat depends on is built once.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}

/// What there is after each section that writes something.
fn follow(guide: &str) -> Vec<(String, Project)> {
    let mut steps: Vec<(String, Project)> = Vec::new();
    let by_cargo_new = ("src/main.rs".to_owned(), "fn main() {}\n".to_owned());
    let mut project = Project::from([by_cargo_new]);
    let mut lines = guide.lines();
    let (mut section, mut place) = (String::new(), None);
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        } else if let Some(comment) = line.strip_prefix("<!-- file: ") {
            place = Some(comment.strip_suffix(" -->").unwrap());
        } else if let Some(language) = line.strip_prefix("```") {
            let block: String =
                lines.by_ref().take_while(|it| *it != "```").map(|it| format!("{it}\n")).collect();
            match place.take() {
                None => assert!(language == "sh", "this belongs to no file:\n{block}"),
                Some(place) => {
                    put(&mut project, place, &block);
                    steps.retain(|(title, _)| *title != section);
                    steps.push((section.clone(), project.clone()));
                }
            }
        }
    }
    steps
}

/// Writes a block where its comment says: `PATH`, `PATH, behind: LINE`, `PATH, before: LINE` or `PATH, at its end`.
fn put(project: &mut Project, place: &str, block: &str) {
    let (path, at) = place.split_once(", ").unwrap_or((place, ""));
    let Some((side, anchor)) = at.split_once(": ") else {
        let file = project.entry(path.to_owned()).or_default();
        match at {
            "" => block.clone_into(file),
            "at its end" => file.push_str(block),
            _ => panic!("where is '{place}'?"),
        }
        return;
    };
    let file = project.get_mut(path).unwrap_or_else(|| panic!("{path} is not there yet"));
    let places: Vec<usize> = (file.lines().enumerate())
        .filter_map(|(at, line)| (line.trim() == anchor).then_some(at))
        .collect();
    let [found] = places[..] else { panic!("'{anchor}' stands {} times in {path}", places.len()) };
    let keep = match side {
        "behind" => found + 1,
        "before" => found,
        _ => panic!("where is '{place}'?"),
    };
    let (above, below): (Vec<_>, Vec<_>) = file.lines().enumerate().partition(|(at, _)| *at < keep);
    let text = |lines: Vec<(usize, &str)>| -> String {
        lines.into_iter().map(|(_, line)| format!("{line}\n")).collect()
    };
    *file = text(above) + block + &text(below);
}
