//! The address of a Unix domain socket.

use std::path::Path;
use std::sync::Arc;

use super::text::AddressError;

/// Where a Unix domain socket is: at a path, on Linux also under a name that is no file, or nowhere, as
/// most that connect.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnixAddress(
    /// As in `sun_path`, without the end: a name begins with a 0. `None` is nowhere.
    Option<Arc<[u8]>>,
);

impl UnixAddress {
    /// Bytes that a path may have: what a socket address has room for, less the 0 at its end.
    pub const PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

    /// Bytes that a name may have.
    pub const NAME_BYTES_MAX: usize = Self::PATH_BYTES_MAX;

    /// A socket at a path.
    ///
    /// # Errors
    /// [`AddressError`] if the path is empty, has more than [`PATH_BYTES_MAX`](Self::PATH_BYTES_MAX)
    /// bytes, or has a 0 among them.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, AddressError> {
        Self::at_bytes(path.as_ref().as_os_str().as_encoded_bytes())
    }

    /// A socket under an abstract name, which is no file and goes when its socket does: Linux alone has
    /// them. Whoever is in the same network namespace can connect.
    ///
    /// # Errors
    /// [`AddressError`] if the name is empty or has more than
    /// [`NAME_BYTES_MAX`](Self::NAME_BYTES_MAX) bytes.
    pub fn named(name: impl AsRef<[u8]>) -> Result<Self, AddressError> {
        let name = name.as_ref();
        match name.len() {
            0 => Err(AddressError::NoName),
            1..=Self::NAME_BYTES_MAX => Ok(Self(Some([&[0], name].concat().into()))),
            bytes => Err(AddressError::LongName { bytes }),
        }
    }

    /// That of a socket which has no address.
    pub const fn unnamed() -> Self {
        Self(None)
    }

    /// The bytes of the path, if it is at one.
    pub fn path_bytes(&self) -> Option<&[u8]> {
        self.0.as_deref().filter(|bytes| bytes.first() != Some(&0))
    }

    /// The abstract name, if it has one.
    pub fn name(&self) -> Option<&[u8]> {
        self.0.as_deref()?.strip_prefix(&[0])
    }

    /// Whether it is nowhere, as what has connected and been bound to nothing.
    pub const fn is_unnamed(&self) -> bool {
        self.0.is_none()
    }

    /// The path, if it is at one.
    #[cfg(unix)]
    pub fn path(&self) -> Option<&Path> {
        use std::os::unix::ffi::OsStrExt;
        self.path_bytes().map(|bytes| Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }

    pub(super) fn at_bytes(path: &[u8]) -> Result<Self, AddressError> {
        match path.len() {
            0 => Err(AddressError::NoPath),
            _ if path.contains(&0) => Err(AddressError::ZeroInPath),
            1..=Self::PATH_BYTES_MAX => Ok(Self(Some(path.into()))),
            bytes => Err(AddressError::LongPath { bytes }),
        }
    }

    /// What a system says of a socket: the bytes of `sun_path`, with the 0 at the end of a path or
    /// without. Others than we may have bound it, so that it may have more bytes than are taken here.
    #[cfg(unix)]
    pub(crate) fn of_system(sun_path: &[u8]) -> Self {
        match sun_path {
            [] => Self(None),
            [0, name @ ..] => {
                // Where there are no names, what has none is filled with zeros.
                let named = cfg!(target_os = "linux") && !name.is_empty();
                Self(named.then(|| sun_path.into()))
            }
            path => Self(path.split(|&byte| byte == 0).next().map(Into::into)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_a_name_has_room_or_is_refused() {
        let longest = "p".repeat(UnixAddress::PATH_BYTES_MAX);
        assert_eq!(UnixAddress::at(&longest).unwrap().path_bytes(), Some(longest.as_bytes()));
        let bytes = longest.len() + 1;
        let long = format!("{longest}p");
        assert_eq!(UnixAddress::at(&long), Err(AddressError::LongPath { bytes }));
        assert_eq!(UnixAddress::at("a\0b"), Err(AddressError::ZeroInPath));
        assert_eq!(UnixAddress::at(""), Err(AddressError::NoPath));
        assert_eq!(UnixAddress::named(&longest).unwrap().name(), Some(longest.as_bytes()));
        assert_eq!(UnixAddress::named(&long), Err(AddressError::LongName { bytes }));
        assert_eq!(UnixAddress::named(""), Err(AddressError::NoName));
        assert_eq!(UnixAddress::named([0, 0]).unwrap().name(), Some(&[0, 0][..]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_system_says_is_taken_as_it_is() {
        let of = UnixAddress::of_system;
        assert_eq!(of(b"/a\0"), UnixAddress::at("/a").unwrap());
        assert_eq!(of(b"/a"), UnixAddress::at("/a").unwrap());
        assert_eq!(of(b"\0a\0"), UnixAddress::named(b"a\0").unwrap());
        assert!(of(b"").is_unnamed() && of(b"\0").is_unnamed());
        // With all of `sun_path` full there is no 0 in it, and Linux counts one more byte than it has.
        let full = [&[b'p'; 108][..], &[0]].concat();
        assert_eq!(of(&full).path_bytes(), Some(&[b'p'; 108][..]));
    }
}
