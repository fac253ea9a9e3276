//! The packets of game servers.

use super::FrameError;

/// A frame of [`Framing::GAME`](crate::Framing::GAME), split into what it is and what it carries.
///
/// ```
/// use wharf::{Context, GamePacket, Outcome};
///
/// fn on_frame(ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
///     let packet = GamePacket::of(frame)?;
///     ctx.send_parts(&[&packet.id.to_le_bytes(), packet.body]);
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GamePacket<'frame> {
    /// What kind of packet it is.
    pub id: u16,
    /// What it carries.
    pub body: &'frame [u8],
}

impl<'frame> GamePacket<'frame> {
    /// Splits a frame as [`on_frame`](crate::Session::on_frame) gets it: without the size.
    ///
    /// # Errors
    /// [`FrameError::TooShort`] if it has no id; no frame of [`Framing::GAME`](crate::Framing::GAME) is
    /// like that.
    pub fn of(frame: &'frame [u8]) -> Result<Self, FrameError> {
        let Some((id, body)) = frame.split_first_chunk() else {
            return Err(FrameError::TooShort { announced: frame.len(), min: 2 });
        };
        Ok(Self { id: u16::from_le_bytes(*id), body })
    }
}
