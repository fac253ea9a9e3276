//! Messages of the user's own types for a session, from any thread.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use crate::context::Context;
use crate::inbox::Message;
use crate::send_queue::SendStatus;
use crate::session::{Outcome, Session};
use crate::session_id::SessionId;
use crate::session_ref::SessionRef;

/// What a session does with a message of type `M`, which other threads or sessions
/// [post](TypedRef::post) to it. One implementation per type of message.
///
/// ```no_run
/// use wharf::{Context, OnMessage, Outcome, Server, Session};
///
/// struct Player {
///     gold: u64,
/// }
///
/// /// A payment, from a thread that knows nothing of frames.
/// struct Paid(u64);
///
/// impl Session for Player {
///     fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
///         ctx.send(format!("{} gold", self.gold).as_bytes());
///         Ok(())
///     }
/// }
///
/// impl OnMessage<Paid> for Player {
///     fn on_message(&mut self, ctx: &mut Context<'_>, Paid(gold): Paid) -> Outcome {
///         self.gold += gold;
///         ctx.send(b"you are paid");
///         Ok(())
///     }
/// }
///
/// let (ids, arrived) = std::sync::mpsc::channel();
/// let running = Server::bind("127.0.0.1:7777").start(move |arrival| {
///     let _ = ids.send(arrival.session_ref());
///     Player { gold: 0 }
/// })?;
/// while let Ok(session) = arrived.recv() {
///     session.typed::<Player>()?.post(Paid(10));
/// }
/// running.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait OnMessage<M: Send + 'static>: Session {
    /// A message has arrived. Never called within another callback, and not before the session is
    /// connected nor when it closes.
    ///
    /// # Errors
    /// Any: it closes the session.
    fn on_message(&mut self, ctx: &mut Context<'_>, message: M) -> Outcome;
}

/// A handle to a session of type `H`, for any thread: see [`SessionRef::typed`]. It keeps nothing alive.
pub struct TypedRef<H> {
    session: SessionRef,
    of: PhantomData<fn(H)>,
}

/// The sessions of the server are of another type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongSession {
    asked: &'static str,
}

impl SessionRef {
    /// The same handle with the type of the server's sessions, to [post](TypedRef::post) messages to it.
    ///
    /// # Errors
    /// [`WrongSession`] if the factory of the server makes sessions of another type.
    pub fn typed<H: Session>(&self) -> Result<TypedRef<H>, WrongSession> {
        self.shared().check_session_type::<H>()?;
        Ok(TypedRef { session: self.clone(), of: PhantomData })
    }
}

impl WrongSession {
    pub(crate) fn asked<H>() -> Self {
        Self { asked: std::any::type_name::<H>() }
    }
}

impl<H: Session> TypedRef<H> {
    /// The session.
    pub const fn id(&self) -> SessionId {
        self.session.id()
    }

    /// The handle for frames.
    pub const fn session(&self) -> &SessionRef {
        &self.session
    }

    /// Posts a message, which arrives as [`OnMessage::on_message`], in order with everything else that
    /// this thread sends to the session by handles. A message to a session that is closing is dropped.
    ///
    /// It counts with its own size towards the 64 MiB that may wait for a worker; what it owns on the heap
    /// is not counted. [`SendStatus::Overloaded`]: they are used up, and the message is dropped.
    pub fn post<M: Send + 'static>(&self, message: M) -> SendStatus
    where
        H: OnMessage<M>,
    {
        self.session.put(self.message(message))
    }

    pub(crate) fn message<M: Send + 'static>(&self, message: M) -> Message
    where
        H: OnMessage<M>,
    {
        let post = Post { message, of: PhantomData::<fn(H)> };
        Message::Post(self.id(), Delivery(Box::new(post)))
    }
}

impl<H> Clone for TypedRef<H> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), of: PhantomData }
    }
}

impl<H> fmt::Debug for TypedRef<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedRef").field(&self.session.id()).finish()
    }
}

impl fmt::Display for WrongSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked } = self;
        write!(
            f,
            "the sessions of this server are no {asked}: name the type that its factory makes"
        )
    }
}

impl Error for WrongSession {}

/// A message on its way to a session, without its type.
pub(crate) struct Delivery(Box<dyn Deliver>);

trait Deliver: Send {
    fn deliver(self: Box<Self>, session: &mut dyn Any, ctx: &mut Context<'_>) -> Outcome;
    fn bytes(&self) -> usize;
}

struct Post<H, M> {
    message: M,
    of: PhantomData<fn(H)>,
}

impl<H: OnMessage<M>, M: Send + 'static> Deliver for Post<H, M> {
    fn deliver(self: Box<Self>, session: &mut dyn Any, ctx: &mut Context<'_>) -> Outcome {
        // A handle of a wrong type cannot be had; if one were, the session would end and say so.
        let session: &mut H = session.downcast_mut().ok_or("a message for another type")?;
        session.on_message(ctx, self.message)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// The result of a job, and what its session does with it.
struct Then<H, T, D> {
    result: T,
    then: D,
    of: PhantomData<fn(H)>,
}

impl<H, T, D> Deliver for Then<H, T, D>
where
    H: Session,
    T: Send,
    D: FnOnce(&mut H, &mut Context<'_>, T) -> Outcome + Send,
{
    fn deliver(self: Box<Self>, session: &mut dyn Any, ctx: &mut Context<'_>) -> Outcome {
        let session: &mut H = session.downcast_mut().ok_or("a result for another type")?;
        (self.then)(session, ctx, self.result)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

impl Delivery {
    /// The result of a job, and what its session is to do with it.
    pub(crate) fn result<H, T, D>(result: T, then: D) -> Self
    where
        H: Session,
        T: Send + 'static,
        D: FnOnce(&mut H, &mut Context<'_>, T) -> Outcome + Send + 'static,
    {
        Self(Box::new(Then { result, then, of: PhantomData::<fn(H)> }))
    }

    pub(crate) fn deliver<H: Session>(self, session: &mut H, ctx: &mut Context<'_>) -> Outcome {
        self.0.deliver(session, ctx)
    }

    /// The bytes that it takes, without what the message owns.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} bytes)", self.bytes())
    }
}
