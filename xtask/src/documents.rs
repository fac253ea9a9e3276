//! The documents: what they link, what is code in them, and what they are a digest of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::checks::ensure;
use crate::totals;
use crate::{Result, workspace};

/// A document as far as others depend on it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// Where its links lead, as they are written.
    pub(crate) links: Vec<String>,
    /// The names of its headings, as links lead to them.
    pub(crate) anchors: Vec<String>,
    /// Its blocks of code: language, and text.
    pub(crate) code: Vec<(String, String)>,
}

impl Document {
    /// Reads a document by its path from the root of the workspace.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Ok(Self::of(&totals::read(&workspace::root().join(path))?))
    }

    pub(crate) fn of(text: &str) -> Self {
        let mut document = Self::default();
        let (mut heading, mut block) = (None::<String>, None::<(String, String)>);
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    block = Some((language.into_string(), String::new()));
                }
                Event::End(TagEnd::Heading(_)) => {
                    let name = anchor(&heading.take().unwrap_or_default());
                    document.name_a_heading(name);
                }
                Event::End(TagEnd::CodeBlock) => document.code.extend(block.take()),
                Event::Text(text) | Event::Code(text) => {
                    let into = block.as_mut().map(|(_, code)| code).or(heading.as_mut());
                    if let Some(into) = into {
                        into.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        document
    }

    /// The second heading of a name has `-1` behind it, and so on.
    fn name_a_heading(&mut self, name: String) {
        let numbered = |number: usize| format!("{name}-{number}");
        let number = (1..).find(|number| !self.anchors.contains(&numbered(*number))).unwrap_or(1);
        let is_taken = self.anchors.contains(&name);
        self.anchors.push(if is_taken { numbered(number) } else { name });
    }
}

/// The name by which a heading is linked to on the usual hosts of repositories.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Every link of a document that leads to a file or a heading of this repository leads somewhere.
pub(crate) fn links_lead_somewhere(pages: &[PathBuf]) -> Result<String> {
    let mut documents = BTreeMap::new();
    for page in pages {
        documents.insert(page.clone(), Document::read(page)?);
    }
    let mut problems = Vec::new();
    let mut count = 0_usize;
    for (page, document) in &documents {
        for link in document.links.iter().filter(|link| !leads_outside(link)) {
            count += 1;
            let problem = problem_of(link, page, &documents);
            problems.extend(problem.map(|it| format!("{}: '{link}': {it}", page.display())));
        }
    }
    ensure(problems.is_empty(), || problems.join("\n        "))?;
    Ok(format!("{count} in {} documents", documents.len()))
}

fn leads_outside(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:")
}

fn problem_of(
    link: &str,
    page: &Path,
    documents: &BTreeMap<PathBuf, Document>,
) -> Option<&'static str> {
    let (path, name) = link.split_once('#').map_or((link, None), |(path, name)| (path, Some(name)));
    let Some(target) = resolve(path, page) else { return Some("it leads out of the repository") };
    if !workspace::root().join(&target).exists() {
        return Some("there is no such file");
    }
    let is_there = |name: &str| documents.get(&target).is_none_or(|it| it.has_heading(name));
    name.is_some_and(|name| !is_there(name)).then_some("there is no such heading")
}

impl Document {
    fn has_heading(&self, name: &str) -> bool {
        self.anchors.iter().any(|anchor| anchor == name)
    }
}

/// The path from the root that a link of a page leads to; the page itself if it has none.
fn resolve(path: &str, page: &Path) -> Option<PathBuf> {
    if path.is_empty() {
        return Some(page.to_path_buf());
    }
    let mut target = page.parent()?.to_path_buf();
    for part in path.split('/') {
        match part {
            ".." if !target.pop() => return None,
            "." | ".." => {}
            part => target.push(part),
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# One `two`, three!\n\nA [link](a.md#b) and `[none](c.md)`.\n\n\
        ```rust\nlet a = \"[none](d.md)\";\n```\n\n## 한국어 제목\n\n## One two three\n\n| [table](e.md) |\n|---|\n";

    #[test]
    fn links_headings_and_code_are_told_apart() {
        let document = Document::of(TEXT);
        assert_eq!(document.links, ["a.md#b", "e.md"]);
        assert_eq!(document.anchors, ["one-two-three", "한국어-제목", "one-two-three-1"]);
        let code = ("rust".to_owned(), "let a = \"[none](d.md)\";\n".to_owned());
        assert_eq!(document.code, [code]);
    }

    #[test]
    fn links_are_resolved_from_their_page() {
        let page = Path::new("docs/ko/guide.md");
        let resolved = |path| resolve(path, page);
        assert_eq!(resolved("../guide.md").as_deref(), Some(Path::new("docs/guide.md")));
        assert_eq!(resolved("../../README.md").as_deref(), Some(Path::new("README.md")));
        assert_eq!(resolved("").as_deref(), Some(page));
        assert_eq!(resolved("../../../else.md"), None);
    }

    #[test]
    fn links_to_nothing_are_told() {
        let page = PathBuf::from("README.md");
        let documents = BTreeMap::from([(page.clone(), Document::of("# Here\n"))]);
        let problem = |link| problem_of(link, &page, &documents);
        assert_eq!(problem("#here"), None);
        assert_eq!(problem("xtask/src/documents.rs"), None);
        assert_eq!(problem("#there"), Some("there is no such heading"));
        assert_eq!(problem("docs/no-such-page.md"), Some("there is no such file"));
        assert_eq!(problem("../x"), Some("it leads out of the repository"));
    }
}
