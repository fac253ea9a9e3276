//! A Windows that is made up, for what neither this machine nor Wine can show. (In the making.)

#[derive(Debug)]
pub(crate) struct Socket;
impl Socket {
    pub(crate) fn reset(self) {}
}
