//! Where and when, and with what.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::contender::Contender;
use crate::results::Machine;

/// What the servers stand on, by its name in the lock file.
const FOUNDATIONS: [&str; 6] = ["compio", "glommio", "io-uring", "mio", "monoio", "tokio"];

/// This machine, now, with these servers.
pub(crate) fn describe(contenders: &[Contender]) -> Machine {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = rustix::system::uname();
    Machine {
        date: said_by(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])),
        processor: model.map_or("unknown processor", |(_, model)| model).to_owned(),
        kernel: format!(
            "{} {}",
            kernel.sysname().to_string_lossy(),
            kernel.release().to_string_lossy()
        ),
        versions: versions(contenders),
    }
}

/// Those of the lock file, and what programs say that are not in it.
fn versions(contenders: &[Contender]) -> Vec<(String, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).unwrap_or_default();
    let mut versions = locked(&lock);
    let commit = said_by(
        Command::new("git").current_dir(workspace).args(["describe", "--always", "--dirty"]),
    );
    if !commit.is_empty() {
        versions.push(("wharf's commit".to_owned(), commit));
    }
    let programs: BTreeSet<_> = contenders.iter().map(|contender| &contender.program).collect();
    for program in programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "wharf" || name.starts_with("asio") || name.starts_with("libuv") {
            versions.push((name, said_by(Command::new(program).arg("--version"))));
        }
    }
    versions
}

/// The versions of the foundations in a lock file.
fn locked(lock: &str) -> Vec<(String, String)> {
    let quoted = |line: &str, key: &str| {
        Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
    };
    let lines: Vec<&str> = lock.lines().collect();
    let packages = lines
        .windows(2)
        .filter_map(|pair| Some((quoted(pair[0], "name")?, quoted(pair[1], "version")?)));
    packages.filter(|(name, _)| FOUNDATIONS.contains(&name.as_str())).collect()
}

/// The first line that a program prints; nothing if it cannot be had.
fn said_by(command: &mut Command) -> String {
    let said = command.output().ok().filter(|output| output.status.success());
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_behind_their_names() {
        let lock = "[[package]]\nname = \"mio\"\nversion = \"1.2.3\"\nsource = \"x\"\n\n\
            [[package]]\nname = \"mime\"\nversion = \"9.9.9\"\n";
        assert_eq!(locked(lock), [("mio".to_owned(), "1.2.3".to_owned())]);
    }

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(said_by(&mut Command::new("/nowhere/program")), "");
    }
}
