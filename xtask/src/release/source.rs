//! The commit that a release is made of.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use crate::changelog::VERSION;
use crate::checks::ensure;
use crate::{Result, process, workspace};

/// How long git may take to answer.
const GIT_MAX: Duration = Duration::from_secs(60);

/// What is checked out.
#[derive(Debug)]
pub(super) struct Source {
    /// All digits of it.
    pub(super) commit: String,
    /// When it was made, in seconds since 1970: the time of every file in an archive.
    pub(super) time: u64,
    /// It has the tag of its version. What has not is a trial, and says so in its name.
    pub(super) is_release: bool,
}

impl Source {
    /// An error if there are changes that no commit has: nobody could build the same again.
    pub(super) fn find() -> Result<Self> {
        let changes = ask(&["status", "--porcelain"])?;
        ensure(changes.is_empty(), || {
            format!("a release is made of a commit, and these are in none:\n{changes}")
        })?;
        let time = ask(&["log", "-1", "--format=%ct"])?;
        let tags = ask(&["tag", "--points-at", "HEAD"])?;
        let tag = format!("v{VERSION}");
        Ok(Self {
            commit: ask(&["rev-parse", "HEAD"])?,
            time: time.parse().map_err(|_| format!("git gives no time of the commit: {time}"))?,
            is_release: tags.lines().any(|it| it == tag),
        })
    }

    /// `0.1.0`, and for a trial with the commit that it is of.
    pub(super) fn version(&self) -> String {
        match self.commit.get(..12) {
            Some(commit) if !self.is_release => format!("{VERSION}-{commit}"),
            _ => VERSION.to_owned(),
        }
    }

    /// The last release before this one, by its tag.
    pub(super) fn last_release(&self) -> Option<String> {
        let before = if self.is_release { "HEAD^" } else { "HEAD" };
        let asked = ask(&["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", before]);
        asked.ok().filter(|tag| !tag.is_empty())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_release { "a release" } else { "a trial: no tag of this version" };
        write!(f, "{} is {what}", self.version())
    }
}

/// git in the root of the workspace.
pub(super) fn git(arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(workspace::root());
    git
}

fn ask(arguments: &[&str]) -> Result<String> {
    let ended = process::run(&mut git(arguments), GIT_MAX)?;
    let words = arguments.join(" ");
    ensure(ended.code == Some(0), || format!("`git {words}`: {}", ended.stderr.trim()))?;
    Ok(ended.stdout.trim().to_owned())
}
