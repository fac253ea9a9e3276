//! Whether CHANGELOG.md is in order: what is not released stands first, then each version with its day, the
//! newest first.

use std::process::Command;
use std::time::Duration;

use crate::checks::ensure;
use crate::totals::read;
use crate::{Result, packages, process, workspace};

/// The file, from the root.
pub(crate) const CHANGELOG: &str = "CHANGELOG.md";
/// What comes before the first version.
const UNRELEASED: &str = "[Unreleased]";
/// How long git may take to list its tags.
const GIT_MAX: Duration = Duration::from_secs(20);

/// The version of this workspace.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A version, to be compared.
type Version = [u64; 3];

/// A version with its section.
#[derive(Debug)]
struct Released<'a> {
    name: &'a str,
    version: Version,
    /// `2026-11-21`, which sorts as days do.
    day: &'a str,
    lines: usize,
}

/// Checks the order, and that each version with a tag has a section.
pub(crate) fn is_in_order() -> Result<String> {
    let text = read(&workspace::root().join(CHANGELOG))?;
    let released = sections(&text)?;
    ensure_order(&released, VERSION)?;
    let tags = tags()?;
    for tag in &tags {
        ensure(has(&released, tag), || format!("v{tag} has a tag and no section"))?;
    }
    Ok(format!("{} versions, {} tags", released.len(), tags.len()))
}

/// Checks that this version is written up, as a release must be.
#[cfg(target_os = "linux")]
pub(crate) fn has_this_version() -> Result<String> {
    let text = read(&workspace::root().join(CHANGELOG))?;
    ensure(has(&sections(&text)?, VERSION), || {
        format!("{CHANGELOG} has no section with lines for {VERSION}: `## [{VERSION}] - DAY`")
    })?;
    Ok(format!("{CHANGELOG} has {VERSION}"))
}

fn has(released: &[Released<'_>], version: &str) -> bool {
    released.iter().any(|it| it.name == version && it.lines > 0)
}

/// The versions that the text has sections for; an error if a heading is none.
fn sections(text: &str) -> Result<Vec<Released<'_>>> {
    let mut released: Vec<Released<'_>> = Vec::new();
    let mut is_first = true;
    for line in text.lines() {
        let Some(heading) = line.strip_prefix("## ") else {
            let is_filled = !line.trim().is_empty() && !line.starts_with('#');
            released.last_mut().into_iter().for_each(|it| it.lines += usize::from(is_filled));
            continue;
        };
        if is_first {
            ensure(heading == UNRELEASED, || format!("'{heading}' stands before {UNRELEASED}"))?;
            is_first = false;
            continue;
        }
        let parsed = heading.split_once(" - ").and_then(|(name, day)| {
            let name = name.strip_prefix('[')?.strip_suffix(']')?;
            Some(Released { name, version: version(name)?, day, lines: 0 })
        });
        let parsed = parsed.filter(|it| is_day(it.day));
        released.push(parsed.ok_or_else(|| format!("'{heading}' is no `[1.2.3] - 2026-11-21`"))?);
    }
    ensure(!is_first, || format!("there is no {UNRELEASED}"))?;
    Ok(released)
}

fn ensure_order(released: &[Released<'_>], current: &str) -> Result<()> {
    for pair in released.windows(2) {
        if let [newer, older] = pair {
            ensure(newer.version > older.version && newer.day >= older.day, || {
                format!("{} stands before {} and is not the newer one", newer.name, older.name)
            })?;
        }
    }
    let (Some(newest), Some(current)) = (released.first(), version(current)) else { return Ok(()) };
    ensure(newest.version <= current, || format!("{} is newer than the crates", newest.name))
}

fn version(name: &str) -> Option<Version> {
    let parts: Option<Vec<u64>> = name.split('.').map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

fn is_day(text: &str) -> bool {
    let digits = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    digits && text.len() == "2026-11-21".len()
}

/// The versions that are tagged, `v1.2.3`; none where this is no repository.
fn tags() -> Result<Vec<String>> {
    if !workspace::root().join(".git").exists() || packages::find("git", &[]).is_none() {
        return Ok(Vec::new());
    }
    let mut git = Command::new("git");
    git.args(["tag", "--list", "v*"]).current_dir(workspace::root());
    let listed = process::run(&mut git, GIT_MAX)?.stdout;
    let names = listed.lines().filter_map(|tag| tag.strip_prefix('v'));
    Ok(names.filter(|name| version(name).is_some()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let ordered = sections(text).and_then(|it| ensure_order(&it, "1.2.3"));
        ordered.err().map_or_else(String::new, |error| error.to_string())
    }

    const OLDER: &str = "## [1.0.9] - 2026-10-01\n- b\n";

    #[test]
    fn versions_come_down_with_their_days() {
        let fine =
            format!("# C\n## [Unreleased]\n## [1.1.0] - 2026-11-21\n### Added\n- a\n{OLDER}");
        assert_eq!(problem(&fine), "");
        let released = sections(&fine).unwrap();
        assert!(has(&released, "1.1.0") && has(&released, "1.0.9") && !has(&released, "1.2.3"));
    }

    #[test]
    fn what_is_out_of_order_is_told() {
        let unreleased = "## [Unreleased]\n";
        for (text, part) in [
            (OLDER.to_owned(), "before [Unreleased]"),
            (String::new(), "there is no [Unreleased]"),
            (format!("{unreleased}## [1.0]\n"), "'[1.0]' is no"),
            (format!("{unreleased}## [1.1.0] - 21.11.2026\n"), "is no"),
            (format!("{unreleased}{OLDER}## [1.0.10] - 2026-09-01\n"), "not the newer one"),
            (format!("{unreleased}## [1.1.0] - 2026-09-30\n{OLDER}"), "not the newer one"),
            (format!("{unreleased}## [2.0.0] - 2026-11-21\n{OLDER}"), "newer than the crates"),
        ] {
            assert!(problem(&text).contains(part), "{text}: {}", problem(&text));
        }
    }

    #[test]
    fn a_section_without_a_line_is_none() {
        let text = "## [Unreleased]\n## [1.1.0] - 2026-11-21\n### Added\n";
        assert!(!has(&sections(text).unwrap(), "1.1.0"));
    }
}
