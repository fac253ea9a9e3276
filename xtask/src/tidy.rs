//! What no compiler checks: that the documents name what is there, that their translations keep up with them,
//! and that no file grows out of hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checks::{Checks, ensure};
use crate::totals::{self, Totals};
use crate::{Result, changelog, documents, process, translations, workspace};

/// Lines that a source file may have.
const FILE_LINES_MAX: usize = 1_000;
/// Characters that a line of a source file may have; rustfmt leaves comments and strings alone.
const LINE_CHARS_MAX: usize = 120;
/// Words that are meant to go before a change lands. Written apart, so that this file has none.
const LEFTOVERS: [&str; 4] =
    [concat!("to", "do!("), concat!("dbg", "!("), concat!("FIX", "ME"), concat!("XX", "X")];
/// Folders that are built, fetched, or not ours.
const NOT_SOURCE: [&str; 3] = ["target", ".git", "corpus"];
/// Workspaces beside the main one.
const APART: [&str; 3] = ["bench", "examples", "fuzz"];
/// How long it may take to hear what is in one, its packages fetched.
const METADATA_MAX: Duration = Duration::from_secs(300);
/// Rules of the completion port's contract.
const CONTRACT: &str = "crates/wharf-port/src/lib.rs";
/// Where its tests are.
const SUITE: &str = "crates/wharf-port/tests/conformance";
/// The documents that name tests and files.
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Runs the checks.
pub(crate) fn run() -> Result<Totals> {
    let sources = files_below(workspace::root(), "rs")?;
    let mut checks = Checks::default();
    checks.check("source files", || sources_are_tidy(&sources));
    checks.check("rules and their tests", rules_have_tests);
    checks.check(ARCHITECTURE, architecture_is_true);
    checks.check(changelog::CHANGELOG, changelog::is_in_order);
    checks.check("links of documents", || documents::links_lead_somewhere(&pages()?));
    checks.check("translations", translations::are_up_to_date);
    checks.check("lock files", lock_files_are_up_to_date);
    Ok(checks.totals())
}

/// Those of the workspaces that few builds touch, which would be rewritten by the next that does.
fn lock_files_are_up_to_date() -> Result<String> {
    for workspace in APART {
        let mut command = workspace::cargo();
        command.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]);
        command.arg(workspace::root().join(workspace).join("Cargo.toml"));
        let ended = process::run(&mut command, METADATA_MAX)?;
        ensure(ended.code == Some(0), || {
            let is_behind = ended.stderr.contains("cannot update the lock file");
            let advice = if is_behind { "; run cargo update --workspace there" } else { "" };
            format!("{workspace}/Cargo.lock: {}{advice}", ended.stderr.trim())
        })?;
    }
    Ok(APART.join(", "))
}

fn sources_are_tidy(sources: &[PathBuf]) -> Result<String> {
    let mut problems = Vec::new();
    for file in sources {
        let text = totals::read(file)?;
        let name = file.strip_prefix(workspace::root()).unwrap_or(file).display();
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{name} has {lines} lines, and {FILE_LINES_MAX} are enough"));
        }
        for (at, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", at + 1);
            problems.extend(line_problem(line).map(|problem| format!("{place}: {problem}")));
        }
    }
    ensure(problems.is_empty(), || problems.join("\n        "))?;
    Ok(format!("{} files", sources.len()))
}

fn line_problem(line: &str) -> Option<String> {
    if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
        return Some(format!("{word} is left over"));
    }
    if line.contains('\t') || line.ends_with([' ', '\r']) {
        return Some("a tab, a blank at the end, or a carriage return".to_owned());
    }
    let chars = line.chars().count();
    (chars > LINE_CHARS_MAX).then(|| format!("{chars} characters, and {LINE_CHARS_MAX} are enough"))
}

/// Every rule of the contract has a test, and every test names a rule that there is.
fn rules_have_tests() -> Result<String> {
    let contract = totals::read(&workspace::root().join(CONTRACT))?;
    let rules: BTreeSet<String> = words(&contract)
        .filter_map(|word| word.strip_suffix("_*").unwrap_or(word).strip_prefix("rule_"))
        .map(str::to_owned)
        .collect();
    let tests = suite_tests()?;
    let tested: BTreeSet<String> = tests.iter().filter_map(|test| rule_of(test)).collect();
    let untested: Vec<_> = rules.difference(&tested).collect();
    ensure(untested.is_empty(), || format!("no test checks rule {untested:?}"))?;
    let unknown: Vec<_> = tested.difference(&rules).collect();
    ensure(unknown.is_empty(), || format!("{CONTRACT} has no rule {unknown:?}, and tests do"))?;
    Ok(format!("{} rules, {} tests", rules.len(), tests.len()))
}

/// The number in `rule_08_a_slow_reader_gets_every_byte`.
fn rule_of(test: &str) -> Option<String> {
    test.strip_prefix("rule_").and_then(|rest| rest.get(..2)).map(str::to_owned)
}

/// The names of the conformance tests.
fn suite_tests() -> Result<BTreeSet<String>> {
    let mut tests = BTreeSet::new();
    for file in files_below(&workspace::root().join(SUITE), "rs")? {
        let text = totals::read(&file)?;
        let functions = text.lines().filter_map(|line| line.strip_prefix("fn "));
        let names = functions.filter_map(|function| function.split_once('(')).map(|(name, _)| name);
        tests.extend(names.filter(|name| rule_of(name).is_some()).map(str::to_owned));
    }
    Ok(tests)
}

/// Every test that the architecture names is there, and its code map names what lies in each `src/`.
fn architecture_is_true() -> Result<String> {
    let text = totals::read(&workspace::root().join(ARCHITECTURE))?;
    let tests = suite_tests()?;
    let named = words(&text).filter(|word| rule_of(word).is_some() && !word.ends_with("_*"));
    let missing: Vec<&str> = named.filter(|name| !tests.contains(*name)).collect();
    ensure(missing.is_empty(), || format!("it names tests that are not there: {missing:?}"))?;

    let map = code_map(&text);
    ensure(!map.is_empty(), || "it has no code map: headings such as `crates/x/src/`".to_owned())?;
    for (folder, named) in &map {
        let there = entries(&workspace::root().join(folder))?;
        let gone: Vec<_> = named.difference(&there).collect();
        ensure(gone.is_empty(), || format!("{folder} has no {gone:?}"))?;
        let unnamed: Vec<_> = there.difference(named).collect();
        ensure(unnamed.is_empty(), || format!("what is {unnamed:?} of {folder} for?"))?;
    }
    let count: usize = map.iter().map(|(_, named)| named.len()).sum();
    Ok(format!("its code map names all {count} files and folders, its tests are there"))
}

/// The code map of a document: a heading names a folder, the items below it begin with the names of
/// files, and of folders by a `/` at their end.
fn code_map(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut map: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut in_map = false;
    for line in text.lines() {
        if line.starts_with('#') {
            let folder = line.split('`').nth(1).filter(|it| it.ends_with("/src/"));
            in_map = folder.is_some();
            map.extend(folder.map(|it| (it.to_owned(), BTreeSet::new())));
        }
        if let (true, Some(item), Some((_, named))) =
            (in_map, line.strip_prefix("- `"), map.last_mut())
        {
            let names = item.split_once(':').map_or(item, |(names, _)| names);
            named.extend(names.split(", ").map(|name| name.trim_matches('`').to_owned()));
        }
    }
    map
}

/// What lies in a folder, but for the root of the crate; folders have a `/` at their end.
fn entries(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_dir() {
            names.insert(name);
        } else if !files_below(&entry.path(), "rs")?.is_empty() {
            names.insert(format!("{name}/"));
        }
    }
    names.retain(|name| !["lib.rs", "main.rs"].contains(&name.as_str()));
    Ok(names)
}

/// All documents, by their paths from the root.
fn pages() -> Result<Vec<PathBuf>> {
    let root = workspace::root();
    let pages = files_below(root, "md")?;
    pages.into_iter().map(|page| Ok(page.strip_prefix(root)?.to_path_buf())).collect()
}

/// The words of a text that could be names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '*'))
}

/// Files below a folder with an ending, without what is no source.
fn files_below(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !NOT_SOURCE.contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untidy_lines_are_told() {
        assert_eq!(line_problem("let a = 1;"), None);
        assert!(line_problem(concat!("    to", "do!()")).is_some());
        assert!(line_problem("a ").is_some());
        assert!(line_problem(&"x".repeat(121)).is_some());
    }

    #[test]
    fn a_code_map_is_read_off_its_items() {
        let text = "# Map\n- `no`: item\n### `crates/a/src/`\n- `b.rs`, `c/`: they do\n  `d`.\n\
            - `e.rs`: too\n## Else\n- `f.rs`: not\n";
        let names = ["b.rs", "c/", "e.rs"].map(str::to_owned);
        assert_eq!(code_map(text), [("crates/a/src/".to_owned(), names.into())]);
    }

    #[test]
    fn rules_are_read_off_the_names_of_tests() {
        assert_eq!(rule_of("rule_08_a_slow_reader_gets_every_byte").as_deref(), Some("08"));
        assert_eq!(rule_of("choice_a_lesser_backend_says_why"), None);
    }
}
