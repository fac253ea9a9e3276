//! The licences of the crates that are linked into a program: theirs ask that who gets it gets them as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::build::Built;
use crate::checks::ensure;
use crate::totals::read;
use crate::workspace::cargo;
use crate::{Result, process};

/// How the files begin in which crates have their licences.
const NAMES: [&str; 5] = ["license", "licence", "copying", "copyright", "notice"];
/// How long cargo may take to list the crates.
const METADATA_MAX: Duration = Duration::from_secs(120);
/// The crate of the program.
const PROGRAM: &str = "wharf-cli";

/// A text with every crate of others that a program is linked with, and its licence.
pub(super) fn of(built: &Built<'_>) -> Result<String> {
    let mut command = cargo();
    command.current_dir(&built.sources);
    command.args(["metadata", "--locked", "--format-version", "1"]);
    command.args(["--filter-platform", built.target.name]);
    let ended = process::run(&mut command, METADATA_MAX)?;
    ensure(ended.code == Some(0), || format!("cargo metadata: {}", ended.stderr.trim()))?;
    let metadata = serde_json::from_str(&ended.stdout)?;
    let linked = linked(&metadata)?;
    let mut text = "What the program wharf is built of besides its own crates and the standard library of Rust\n\
        (MIT OR Apache-2.0), and the licences of each.\n"
        .to_owned();
    for (name, Crate { licence, folder }) in &linked {
        let _ = write!(text, "\n=== {name} ({licence})\n");
        let mut files: Vec<_> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| is_licence(file)) {
            let _ = write!(text, "\n{}\n", read(file)?.trim());
        }
    }
    Ok(text)
}

/// A crate of somebody else.
#[derive(Debug)]
struct Crate<'a> {
    licence: &'a str,
    folder: &'a Path,
}

/// What the program reaches by dependencies that are neither for tests nor for build scripts, by name and version.
fn linked(metadata: &Value) -> Result<BTreeMap<String, Crate<'_>>> {
    let strange = || "cargo metadata has another form than is known";
    let packages = metadata["packages"].as_array().ok_or_else(strange)?;
    let nodes = metadata["resolve"]["nodes"].as_array().ok_or_else(strange)?;
    let package = |id: &str| packages.iter().find(|it| it["id"] == id);
    let root = packages.iter().find(|it| it["name"] == PROGRAM).and_then(|it| it["id"].as_str());
    let mut to_see = vec![root.ok_or_else(strange)?];
    let mut seen = BTreeSet::new();
    let mut found = BTreeMap::new();
    while let Some(id) = to_see.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|it| it["id"] == id).ok_or_else(strange)?;
        let needs = node["deps"].as_array().into_iter().flatten().filter(|it| is_linked(it));
        to_see.extend(needs.filter_map(|it| it["pkg"].as_str()));
        let package = package(id).ok_or_else(strange)?;
        // Those without a source are this workspace's.
        if package["source"].is_null() {
            continue;
        }
        let text = |key: &str| package[key].as_str();
        let name = format!("{} {}", text("name").unwrap_or("?"), text("version").unwrap_or("?"));
        let folder = text("manifest_path").and_then(|it| Path::new(it).parent());
        let folder = folder.ok_or_else(strange)?;
        let licence = text("license").unwrap_or("see below");
        found.insert(name, Crate { licence, folder });
    }
    Ok(found)
}

fn is_linked(dependency: &Value) -> bool {
    dependency["dep_kinds"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|it| it["kind"].is_null()))
}

fn is_licence(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    file.is_file() && NAMES.iter().any(|it| name.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_found_and_what_tests_need_is_not() {
        let package = |id: &str, source: Value| {
            serde_json::json!({ "id": id, "name": id, "version": "1.0.0", "source": source,
                "license": "MIT", "manifest_path": format!("/crates/{id}/Cargo.toml") })
        };
        let node = |id: &str, needs: &[(&str, Value)]| {
            let deps = needs.iter().map(
                |(it, kind)| serde_json::json!({ "pkg": it, "dep_kinds": [{ "kind": kind }] }),
            );
            serde_json::json!({ "id": id, "deps": deps.collect::<Vec<_>>() })
        };
        let metadata = serde_json::json!({
            "packages": [package(PROGRAM, Value::Null), package("own", Value::Null),
                package("far", "registry".into()), package("test", "registry".into())],
            "resolve": { "nodes": [
                node(PROGRAM, &[("own", Value::Null), ("test", "dev".into())]),
                node("own", &[("far", Value::Null)]), node("far", &[("own", Value::Null)]),
                node("test", &[])] },
        });
        let linked = linked(&metadata).unwrap();
        assert_eq!(linked.keys().collect::<Vec<_>>(), ["far 1.0.0"]);
        assert_eq!(linked["far 1.0.0"].folder, Path::new("/crates/far"));
    }
}
