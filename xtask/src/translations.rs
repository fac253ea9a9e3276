//! Pages in Korean, and whether they still say what the English ones do.
//!
//! Nothing can read both. So each translation ends with a digest of the page that it was made from; when that
//! page changes, whoever changes it brings the translation up to date as well, and `cargo xtask translated`
//! writes the digest anew. What is code has to be the same in both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checks::ensure;
use crate::documents::Document;
use crate::totals;
use crate::{Result, workspace};

/// Pages that have a translation: the English one, and the Korean one.
const PAGES: [(&str, &str); 5] = [
    ("README.md", "README.ko.md"),
    ("docs/guide.md", "docs/ko/guide.md"),
    ("docs/from-iocp.md", "docs/ko/from-iocp.md"),
    ("docs/models.md", "docs/ko/models.md"),
    ("docs/models-windows.md", "docs/ko/models-windows.md"),
];
/// What the last line of a translation begins and ends with.
const MARK: [&str; 2] = ["<!-- translation of ", " -->"];
/// Languages of blocks whose comments may be translated; what is behind a `#` is not compared there.
const SHELL: &str = "sh";

/// Every translation was made from its page as it is, with the same code in it.
pub(crate) fn are_up_to_date() -> Result<String> {
    let mut problems = Vec::new();
    for (page, translation) in PAGES {
        let (english, korean) = (text_of(page)?, text_of(translation)?);
        if mark_of(&korean) != Some(mark(page, &english).as_str()) {
            problems.push(format!(
                "{page} has changed since {translation} was made from it: bring that up to date, then \
                 `cargo xtask translated {page}`"
            ));
        }
        let difference = difference(&Document::of(&english), &Document::of(&korean));
        problems.extend(difference.map(|it| format!("{translation}: {it}")));
    }
    ensure(problems.is_empty(), || problems.join("\n        "))?;
    Ok(format!("{} pages", PAGES.len()))
}

/// Writes down that the translation of a page, which is given by its own path or its page's, is up to date.
pub(crate) fn renew(path: &Path) -> Result<()> {
    let path = path.strip_prefix(".").unwrap_or(path);
    let is_meant = |it: &&(&str, &str)| path == Path::new(it.0) || path == Path::new(it.1);
    let Some((page, translation)) = PAGES.iter().find(is_meant) else {
        let names = PAGES.map(|(page, _)| page).join(", ");
        return Err(format!("{} has no translation; these have: {names}", path.display()).into());
    };
    let (english, korean) = (text_of(page)?, text_of(translation)?);
    let difference = difference(&Document::of(&english), &Document::of(&korean));
    ensure(difference.is_none(), || format!("{translation}: {}", difference.unwrap_or_default()))?;
    fs::write(in_root(translation), marked(&korean, &mark(page, &english)))?;
    println!("{translation} is up to date with {page}");
    Ok(())
}

fn in_root(path: &str) -> PathBuf {
    workspace::root().join(path)
}

/// Line ends are those of the system that has checked the repository out, and count for nothing.
fn text_of(path: &str) -> Result<String> {
    Ok(totals::read(&in_root(path))?.replace("\r\n", "\n"))
}

/// The last line of a translation of this text.
fn mark(page: &str, english: &str) -> String {
    let [begin, end] = MARK;
    format!("{begin}{page} {:08x}{end}", crc32fast::hash(english.as_bytes()))
}

fn mark_of(korean: &str) -> Option<&str> {
    korean.trim_end().lines().last().filter(|line| line.starts_with(MARK[0]))
}

/// A translation with this mark in place of the one that it has, if it has one.
fn marked(korean: &str, mark: &str) -> String {
    let text = korean.trim_end();
    let text = mark_of(korean).and_then(|old| text.strip_suffix(old)).unwrap_or(text);
    format!("{}\n\n{mark}\n", text.trim_end())
}

/// The first block of code that is not the same in both.
fn difference(english: &Document, korean: &Document) -> Option<String> {
    let (ours, theirs) = (&english.code, &korean.code);
    let differs = |(ours, theirs)| comparable(ours) != comparable(theirs);
    if let Some(at) = ours.iter().zip(theirs).position(differs) {
        let first = ours[at].1.lines().next().unwrap_or_default();
        return Some(format!("block {} is not the code of the page: '{first}'", at + 1));
    }
    let (ours, theirs) = (ours.len(), theirs.len());
    (ours != theirs).then(|| format!("it has {theirs} blocks of code, and the page has {ours}"))
}

/// A block as it is to be the same in both.
fn comparable((language, text): &(String, String)) -> (&str, String) {
    let has_words = language == SHELL;
    let line = |line: &str| match line.split_once('#') {
        Some((command, _)) if has_words => command.trim_end().to_owned(),
        _ => line.to_owned(),
    };
    (language, text.lines().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_put_at_the_end_and_replaced_there() {
        let (old, new) = (mark("a.md", "old"), mark("a.md", "new"));
        assert_ne!(old, new);
        let text = marked("# Title\n\nText.\n", &old);
        assert_eq!(mark_of(&text), Some(old.as_str()));
        assert_eq!(text, format!("# Title\n\nText.\n\n{old}\n"));
        assert_eq!(marked(&text, &new), format!("# Title\n\nText.\n\n{new}\n"));
        assert_eq!(mark_of("# Title\n"), None);
    }

    #[test]
    fn code_is_compared_and_comments_of_a_shell_are_not() {
        let page =
            Document::of("```sh\ncargo run  # it runs\n```\n```rust\nlet a = 1; // one\n```\n");
        let of =
            |shell, rust| Document::of(&format!("```sh\n{shell}\n```\n```rust\n{rust}\n```\n"));
        assert_eq!(difference(&page, &of("cargo run # 실행", "let a = 1; // one")), None);
        assert!(difference(&page, &of("cargo test # 실행", "let a = 1; // one")).is_some());
        assert!(difference(&page, &of("cargo run", "let a = 1; // 하나")).is_some());
        assert!(difference(&page, &Document::of("```sh\ncargo run\n```\n")).is_some());
    }

    #[test]
    fn pages_without_a_translation_are_told() {
        let error = renew(Path::new("docs/limits.md")).unwrap_err().to_string();
        assert!(error.contains("docs/limits.md has no translation"), "{error}");
    }
}
