//! The pages for users say what the program does.

use std::collections::BTreeMap;

use crate::program::{run, wharf};

const LIMITS: &str = include_str!("../../../../docs/limits.md");
const README: &str = include_str!("../../../../README.md");

/// The flags of the page, and what stands behind each as its default.
fn flags_of_the_page() -> BTreeMap<&'static str, &'static str> {
    let mut flags = BTreeMap::new();
    for line in LIMITS.lines() {
        let mut cells =
            line.trim_end_matches(" |").split(" | ").skip_while(|cell| !cell.starts_with("`--"));
        if let (Some(flag), Some(default)) = (cells.next(), cells.next()) {
            let default =
                flag.split_once(" (").map_or(default, |(_, own)| own.trim_end_matches(')'));
            let flag = flag.split('`').nth(1).unwrap();
            let before = flags.insert(flag, default);
            assert!(before.is_none_or(|before| before == default), "{flag} has two defaults");
        }
    }
    flags
}

/// The flags that are limits, and the default of each, as the help of a mode of `wharf serve` has them.
fn flags_of_the_help(mode: &str) -> BTreeMap<String, String> {
    let help = run(wharf(["serve", mode, "--help"])).stdout;
    // What is set on sockets stands on the page too; who may connect stands on one of its own.
    let (limits, _) = help.split_once("\nLimits:").unwrap().1.split_once("\nPeers:").unwrap();
    let drain = help.split_once("--drain <").and_then(|(_, rest)| rest.split(']').next());
    let text = format!("{limits} --drain <{}]", drain.unwrap());
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut flags = BTreeMap::new();
    for (at, pair) in words.windows(2).enumerate() {
        if pair[0].starts_with("--") && pair[1].starts_with('<') && !flags.contains_key(pair[0]) {
            let rest = words[at..].join(" ");
            let default =
                rest.split_once("[default: ").and_then(|(_, rest)| rest.split(']').next());
            flags.insert(pair[0].to_owned(), default.unwrap().to_owned());
        }
    }
    flags
}

#[test]
fn the_page_of_limits_is_right() {
    let page = flags_of_the_page();
    for mode in ["echo", "chat"] {
        let help = flags_of_the_help(mode);
        assert!(help.len() > 15, "{help:?}");
        for (flag, default) in &help {
            let said =
                page.get(flag.as_str()).unwrap_or_else(|| panic!("{flag} is not on the page"));
            let (echo, chat) = said.split_once("; chat: ").unwrap_or((said, said));
            let said = if mode == "chat" { chat } else { echo };
            // Such as `64KiB; with u16, 65535`.
            let plain = default.split(';').next().unwrap();
            let is_machines = default == "what the descriptor limit allows" && said == "the same";
            assert!(said == plain || is_machines, "{mode} {flag}: {default}, the page says {said}");
        }
        let gone = page.keys().find(|flag| !help.contains_key(**flag));
        assert_eq!(gone, None, "the page has a flag that serve {mode} has not");
    }
    for name in wharf::CloseReason::NAMES {
        assert!(LIMITS.contains(&format!("`{name}`")), "{name} is not on the page");
    }
}

#[test]
fn the_readme_leads_to_every_page_and_names_every_command() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    for entry in std::fs::read_dir(format!("{root}/docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_page = name.ends_with(".md");
        assert!(!is_page || README.contains(&format!("(docs/{name})")), "{name} has no link");
    }
    let modes = ["echo", "chat", "accept", "idle", "storm", "slow-reader", "slowloris"];
    let load = modes.map(|mode| format!("load {mode}"));
    let others = ["serve echo", "serve chat", "proxy", "sim"].map(String::from);
    for command in load.iter().chain(&others) {
        assert!(README.contains(&format!("| `wharf {command}` |")), "{command}");
    }
}
