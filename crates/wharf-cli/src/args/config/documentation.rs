//! `docs/config.md` says what the program takes.

use std::fmt::Write;

use super::schema::{Key, Schema};
use super::value::Kind;
use crate::args::definition_of;

const BEGIN: &str = "<!-- keys: from here -->\n";
const END: &str = "<!-- keys: to here -->\n";

/// The tables of all keys, as they must stand in the page.
fn tables() -> String {
    let (echo, chat) = (Schema::of(&definition_of("echo")), Schema::of(&definition_of("chat")));
    let mut text = String::new();
    for section in std::iter::once(None).chain(echo.sections().into_iter().map(Some)) {
        let title = match section {
            Some(name) => format!("`[{name}]`"),
            None => "Before all sections".to_owned(),
        };
        let _ = write!(
            text,
            "\n### {title}\n\n| key | default | takes | what it is |\n|---|---|---|---|\n"
        );
        for key in echo.keys_of(section) {
            let in_chat = chat.key(&key.name).map(default).unwrap_or_default();
            let in_echo = default(key);
            let default = match in_echo == in_chat {
                true => in_echo,
                false => format!("echo: {in_echo}; chat: {in_chat}"),
            };
            let cells = [format!("`{}`", key.name), default, takes(key), what(key)];
            let cells = cells.map(|cell| cell.replace('|', "\\|").replace(['<', '>'], ""));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    text + "\n"
}

fn default(key: &Key) -> String {
    let values = key.arg().get_default_values().iter();
    let values: Vec<String> = values.map(|value| key.kind.toml(&value.to_string_lossy())).collect();
    if values.is_empty() { key.unset() } else { format!("`{}`", values.join(", ")) }
}

/// The type, and the range in the words of who refuses a value.
fn takes(key: &Key) -> String {
    let kind = match key.kind {
        Kind::Number | Kind::Seconds => "number",
        Kind::Bytes | Kind::Rate => "number or text",
        Kind::Switch => return "true or false".to_owned(),
        Kind::Text => "text",
    };
    let list = if key.is_list { ", or a list of it" } else { "" };
    let refusal = key.check("\u{1}").err().unwrap_or_default();
    // Some say the value that they refuse first.
    let range = match refusal.split_once(": ") {
        Some((before, range)) if before.contains('\u{1}') || before.contains("u{1}") => range,
        _ => &refusal,
    };
    let range = range.strip_prefix("give ").unwrap_or(range);
    if range.is_empty() { format!("{kind}{list}") } else { format!("{kind}{list}: {range}") }
}

fn what(key: &Key) -> String {
    let help = key.arg().get_help().map(ToString::to_string).unwrap_or_default();
    help.split(" [default: ").next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// `WHARF_BLESS=1 cargo test -p wharf-cli --lib config` writes the page anew.
#[test]
fn the_page_of_the_config_file_has_every_key_with_its_default_and_its_range() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (stands, after) = rest.split_once(END).unwrap();
    let tables = tables();
    if std::env::var_os("WHARF_BLESS").is_some() {
        std::fs::write(page, format!("{before}{BEGIN}{tables}{END}{after}")).unwrap();
        return;
    }
    let missing: Vec<&str> =
        tables.lines().filter(|line| !stands.lines().any(|other| other == *line)).collect();
    assert!(
        stands == tables,
        "docs/config.md is not what the program takes; it lacks: {missing:#?}"
    );
}
