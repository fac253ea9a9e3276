//! What callgrind writes: costs by function, file and line.
//!
//! A line `fn=` begins a function and `fl=` says its file; `fi=` and `fe=` say which file the lines that follow
//! were inlined from. Names are told once, and by number from then on. Behind `calls=` stands a line with the
//! costs of the callee, which are counted where the callee stands.

use std::collections::HashMap;

use crate::Result;

/// Instructions of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Of wharf's own code; see [`is_own`].
    pub(super) own: u64,
    /// Of everything.
    pub(super) all: u64,
}

/// Sums up a callgrind file.
///
/// # Errors
/// If this is none, or a part of it means nothing.
pub(super) fn counts(text: &str) -> Result<Counts> {
    let mut names = HashMap::new();
    let mut counts = Counts::default();
    // The file of the function, and that of the line.
    let (mut outer, mut inner) = (false, None);
    let mut is_of_callee = false;
    let mut events = None;
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fl" => (outer, inner) = (is_own(name(&mut names, value)?), None),
                "fi" | "fe" => {
                    let file = name(&mut names, value)?;
                    // What was inlined from the standard library belongs to whom it was inlined into.
                    inner = is_ours(file).then(|| is_own(file));
                }
                "cfi" | "cfl" => drop(name(&mut names, value)?.len()),
                "calls" => is_of_callee = true,
                _ => {}
            }
        } else if let Some(named) = line.strip_prefix("events: ") {
            events = Some(named);
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if std::mem::take(&mut is_of_callee) {
                continue;
            }
            let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse::<u64>().ok());
            let cost =
                cost.ok_or_else(|| format!("callgrind writes `{line}`, which is no cost"))?;
            counts.all += cost;
            counts.own += if inner.unwrap_or(outer) { cost } else { 0 };
        }
    }
    match events {
        Some("Ir") if counts.own > 0 => Ok(counts),
        Some("Ir") => Err("callgrind finds no code of wharf: was it built without lines?".into()),
        _ => Err("this is no file of callgrind that counts instructions alone".into()),
    }
}

/// The name in `(1) file.rs`, or that which `(1)` has had before.
fn name<'a>(names: &mut HashMap<&'a str, &'a str>, value: &'a str) -> Result<&'a str> {
    let (number, name) = value.split_once(' ').unwrap_or((value, ""));
    if !name.is_empty() {
        names.insert(number, name);
    }
    let known = names.get(number).copied();
    known.ok_or_else(|| format!("callgrind does not say which file `{number}` is").into())
}

/// Whether a file is of this workspace.
fn is_ours(file: &str) -> bool {
    ["crates/wharf/src/", "crates/wharf-port/src/", "xtask/instructions/src/"]
        .iter()
        .any(|folder| file.contains(folder))
}

/// Whether it is what users run: neither the simulated network nor the program that is counted.
fn is_own(file: &str) -> bool {
    file.contains("crates/wharf/src/")
        || (file.contains("crates/wharf-port/src/") && !file.contains("/src/sim/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: 1\npositions: line\nevents: Ir\n\n\
        fl=(1) /a/crates/wharf/src/worker/turn.rs\nfn=(1) turn\n10 100\n+1 10\n\
        fi=(2) /rustc/1/core/option.rs\n7 5\n\
        fe=(1)\n* 1\n\
        cfi=(3) /a/crates/wharf-port/src/sim/mod.rs\ncfn=(2) wait\ncalls=2 5\n12 5000\n13 2\n\n\
        fl=(3)\nfn=(2)\n1 1000\nfi=(1)\n3 20\n\n\
        fl=(4) ./string/memmove.S\nfn=(3) memmove\n1 400\n\ntotals: 1538\n";

    #[test]
    fn costs_go_to_whom_they_belong() {
        let counts = counts(FILE).unwrap();
        assert_eq!(counts, Counts { own: 100 + 10 + 5 + 1 + 2 + 20, all: 1538 });
    }

    #[test]
    fn what_is_no_count_is_refused() {
        assert!(counts("").is_err());
        assert!(counts("events: Ir\nfl=(1) /rustc/a.rs\n1 5\n").is_err());
        assert!(counts(&FILE.replace("events: Ir", "events: Dr")).is_err());
        assert!(counts("events: Ir\nfl=(1)\n1 5\n").is_err());
        assert!(counts(&FILE.replace("10 100", "10 many")).is_err());
    }
}
