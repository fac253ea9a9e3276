//! The file of a listener: whose it may be, and what becomes of it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use wharf_port::{
    Address, Backend, Completion, CompletionPort, ListenError, ListenOptions, ListenerId,
    UnixAddress,
};

use crate::place::{LIMIT, Place, accepted, at, on_each_backend, open, take};

fn listen(port: &mut CompletionPort, path: &Path) -> Result<ListenerId, ListenError> {
    port.listen(at(path), &ListenOptions::default())
}

/// Leaves what a server leaves that was killed.
fn die_at(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(path.symlink_metadata().unwrap().file_type().is_socket());
}

#[test]
fn a_listener_has_a_file_and_takes_it_along() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        let listener = listen(&mut port, &path).unwrap();
        assert_eq!(place.files(), ["socket", "socket.lock"]);
        assert_eq!(port.listener_address(listener), Some(at(&path)));
        let _client = UnixStream::connect(&path).unwrap();
        accepted(&mut port);
        port.stop_listening(listener);
        take(&mut port, "the listener to close", |_, completion| {
            matches!(completion, Completion::ListenerClosed { .. }).then_some(())
        });
        assert!(place.files().is_empty(), "{:?}", place.files());
        listen(&mut port, &path).unwrap();
        port.shut_down(LIMIT).unwrap();
        assert!(place.files().is_empty(), "{:?}", place.files());
    });
}

#[test]
fn the_file_of_a_dead_server_is_taken_over() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        die_at(&path);
        fs::write(place.path("socket.lock"), "").unwrap();
        listen(&mut port, &path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        accepted(&mut port);
    });
}

#[test]
fn a_path_where_somebody_listens_is_in_use() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        let in_use = |listened: Result<ListenerId, ListenError>| {
            let error = listened.unwrap_err();
            assert!(matches!(&error, ListenError::AddressInUse(of) if *of == at(&path)), "{error}");
            assert!(error.to_string().contains("choose another path"), "{error}");
        };
        // Somebody who knows of no lock, and does not accept.
        let stranger = UnixListener::bind(&path).unwrap();
        in_use(listen(&mut port, &path));
        UnixStream::connect(&path).expect("the stranger has its file still");
        drop(stranger);
        fs::remove_file(&path).unwrap();
        // Somebody who is there for something else than streams.
        let datagrams = UnixDatagram::bind(&path).unwrap();
        in_use(listen(&mut port, &path));
        drop(datagrams);
        fs::remove_file(&path).unwrap();
        // One of ours, and nobody knocks there to find out.
        listen(&mut port, &path).unwrap();
        in_use(listen(&mut port, &path));
        in_use(listen(&mut open(Backend::Readiness).unwrap(), &path));
        UnixStream::connect(&path).unwrap().set_nonblocking(true).unwrap();
        accepted(&mut port);
        port.wait(Some(port.now())).unwrap();
        assert!(port.take().is_none(), "only the client has come");
        assert_eq!(place.files(), ["socket", "socket.lock"]);
    });
}

/// A crowd of servers wants a path that a dead one has left: one gets it, whoever that is, and is reached.
#[test]
fn of_many_that_take_over_at_once_one_has_the_path() {
    const SERVERS: usize = 8;
    for _ in 0..20 {
        let place = Place::new();
        let path = place.path("socket");
        die_at(&path);
        let barrier = Barrier::new(SERVERS);
        let serve = || {
            let mut port = open(Backend::Readiness).unwrap();
            barrier.wait();
            let listened = listen(&mut port, &path);
            // None of them ends before all have tried, nor before the one that has it is reached.
            barrier.wait();
            let client = listened.is_ok().then(|| UnixStream::connect(&path));
            let until = port.now() + LIMIT;
            let _ = port.wait(Some(if client.is_some() { until } else { port.now() }));
            let is_reached = matches!(port.take(), Some(Completion::Accepted { .. }));
            barrier.wait();
            (listened, is_reached)
        };
        let ended: Vec<_> = thread::scope(|scope| {
            let servers: Vec<_> = (0..SERVERS).map(|_| scope.spawn(serve)).collect();
            servers.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let have = ended.iter().filter(|(listened, _)| listened.is_ok()).count();
        for (listened, is_reached) in ended {
            let in_use = matches!(listened, Err(ListenError::AddressInUse(_)));
            assert!(in_use || listened.is_ok(), "{listened:?}");
            assert_eq!(is_reached, listened.is_ok());
        }
        assert_eq!(have, 1, "servers at one path");
        assert!(place.files().is_empty(), "{:?}", place.files());
    }
}

/// The system takes a ring of a process apart when that has ended, and its listener answers until then.
#[test]
fn a_socket_that_outlives_its_killed_server_is_waited_for() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        fs::write(place.path("socket.lock"), "").unwrap();
        let dying = UnixListener::bind(&path).unwrap();
        let last = thread::spawn(move || {
            let (_visitor, _) = dying.accept().unwrap();
            drop(dying);
        });
        listen(&mut port, &path).unwrap();
        last.join().unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        accepted(&mut port);
    });
}

#[test]
fn what_is_no_socket_is_left_alone() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let [file, directory, link] = ["file", "directory", "link"].map(|name| place.path(name));
        fs::write(&file, "precious").unwrap();
        fs::create_dir(&directory).unwrap();
        // Even if it leads to a socket that nobody listens on.
        die_at(&place.path("dead"));
        symlink(place.path("dead"), &link).unwrap();
        let before = place.files();
        for path in [&file, &directory, &link] {
            let error = listen(&mut port, path).unwrap_err();
            assert!(matches!(&error, ListenError::NotASocket(of) if *of == at(path)), "{error}");
        }
        assert_eq!(place.files(), before);
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        assert!(link.is_symlink());
    });
}

#[test]
fn what_has_taken_the_place_of_a_file_is_not_removed_with_it() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let path = place.path("socket");
        listen(&mut port, &path).unwrap();
        fs::rename(&path, place.path("moved")).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        port.shut_down(LIMIT).unwrap();
        assert_eq!(place.files(), ["moved", "socket"]);
        let _client = UnixStream::connect(&path).unwrap();
        other.accept().unwrap();
    });
}

#[test]
fn a_file_has_the_mode_that_is_asked_for() {
    on_each_backend(|mut port| {
        let place = Place::new();
        for mode in [0o600, 0o660, 0o666, 0o777, 0] {
            let path = place.path(&format!("{mode:o}"));
            let options = ListenOptions { unix_mode: Some(mode), ..ListenOptions::default() };
            port.listen(at(&path), &options).unwrap();
            let is = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(is, mode, "{is:o} for {mode:o}");
        }
    });
}

#[test]
fn the_longest_path_is_listened_on_and_a_longer_one_told() {
    on_each_backend(|mut port| {
        let place = Place::new();
        let room = UnixAddress::PATH_BYTES_MAX - place.path("").as_os_str().len();
        let path = place.path(&"p".repeat(room));
        listen(&mut port, &path).unwrap();
        assert_eq!(
            UnixStream::connect(&path).unwrap().peer_addr().unwrap().as_pathname(),
            Some(&*path)
        );
        let long = UnixAddress::at(place.path(&"p".repeat(room + 1))).unwrap_err().to_string();
        let most = format!("at most {} bytes", UnixAddress::PATH_BYTES_MAX);
        assert!(long.contains(&most), "{long}");
    });
}

#[test]
fn a_path_that_leads_nowhere_is_told() {
    on_each_backend(|mut port| {
        let place = Place::new();
        fs::write(place.path("file"), "").unwrap();
        for path in [place.path("missing/socket"), place.path("file/socket")] {
            let error = listen(&mut port, &path).unwrap_err();
            assert!(matches!(error, ListenError::NoDirectory(_)), "{error}");
        }
        let nowhere = Address::from(UnixAddress::unnamed());
        let error = port.listen(nowhere, &ListenOptions::default()).unwrap_err();
        assert!(matches!(error, ListenError::Unsupported(_)), "{error}");
        assert_eq!(place.files(), ["file"]);
    });
}
