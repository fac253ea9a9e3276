//! `wharf serve --capture`: what becomes of the file that is there, and of the one that is written.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::Ended;
use crate::serving::{Serving, Signal, check_echo, serve};

/// A folder, and the path of a capture in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evening.jsonl");
    (folder, path)
}

/// A server that captures, once its only session has said hello; `meanwhile` is done before it ends.
#[track_caller]
fn capture(path: &Path, meanwhile: impl FnOnce()) -> Ended {
    let mut command = serve("echo", "");
    command.arg("--capture").arg(path);
    let mut serving = Serving::spawn(command);
    check_echo(&serving.connect(), b"hello");
    meanwhile();
    serving.signal(Signal::TERM);
    serving.end()
}

#[track_caller]
fn check_captured(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.starts_with("{\"wharf_capture\":1,") && text.contains("hello"), "{text}");
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_new_file_of_its_owner_alone_takes_the_place_of_what_others_may_read() {
    let (folder, path) = place();
    fs::write(&path, "of the evening before").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut opened = fs::File::open(&path).unwrap();
    let ended = capture(&path, || {
        assert_eq!(fs::read_to_string(&path).unwrap(), "of the evening before");
        assert_eq!(names(folder.path()), ["evening.jsonl"], "what was tried is left");
    });
    assert_eq!(ended.code, Some(0), "{ended:?}");
    check_captured(&path);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["evening.jsonl"]);
    let before = std::io::read_to_string(&mut opened).unwrap();
    assert_eq!(before, "of the evening before", "whoever has it open has it still");
}

#[test]
fn a_file_that_was_removed_meanwhile_is_there_again() {
    let (_folder, path) = place();
    fs::write(&path, "of the evening before").unwrap();
    let ended = capture(&path, || fs::remove_file(&path).unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    check_captured(&path);
}

#[test]
fn a_link_stays_and_leads_to_the_new_file() {
    let (folder, path) = place();
    fs::write(&path, "of the evening before").unwrap();
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let ended = capture(&link, || {});
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    check_captured(&path);
}

#[test]
fn what_cannot_take_its_place_is_left_and_told() {
    let (folder, path) = place();
    let ended = capture(&path, || fs::create_dir(&path).unwrap());
    let line = ended.failure(1);
    let told = line.rsplit_once("what was captured is in ").map(|(_, told)| told.trim());
    let told = Path::new(told.unwrap_or_else(|| panic!("{line}")));
    assert_eq!(told.parent(), Some(folder.path()));
    assert!(told.extension().is_some_and(|it| it == "part"), "{line}");
    check_captured(told);
}

#[test]
fn a_capture_that_is_lost_is_a_failure() {
    let (folder, path) = place();
    let ended = capture(&path, || folder.close().unwrap());
    let line = ended.failure(1);
    assert!(line.contains("what was captured is lost"), "{line}");
}

#[test]
fn a_pipe_gets_the_capture_and_stays_a_pipe() {
    let (folder, path) = place();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = std::thread::spawn({
        let path = path.clone();
        // It waits for the server, and ends with it.
        move || fs::read_to_string(path).unwrap()
    });
    let ended = capture(&path, || {});
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(reader.join().unwrap().contains("hello"));
    assert!(!path.metadata().unwrap().is_file());
    assert_eq!(names(folder.path()), ["evening.jsonl"]);
}
