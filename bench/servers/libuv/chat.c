// A chat: each frame is held once, with a count of those who have to send it, and each member has a queue of
// the frames that wait for it and one `uv_write` in flight, if `uv_try_write` found no room.
//
// Each send is one frame. With --gather it is all that wait, and begins when all frames of a receive have been
// handed out.

#include <stdlib.h>
#include <string.h>

#include "inbound.h"
#include "server.h"

// Buffers of a send, at most.
enum { SEND_BUFFERS_MAX = 64 };

// A whole frame, header included.
struct frame {
  size_t references;
  size_t count;
  char bytes[];
};

struct member {
  uv_tcp_t stream;
  uv_write_t write;
  struct member *next;
  // What points to this one: the member before, or the room.
  struct member **link;
  struct inbound inbound;
  // A ring of the frames that wait; its capacity is a power of two.
  struct frame **waiting;
  size_t capacity;
  size_t first;
  size_t count;
  // Bytes of the first of them that are sent.
  size_t sent;
  // Bytes of the `uv_write` that is in flight, or 0.
  size_t writing;
};

static struct member *room;
static bool gathers;

void chat_gathers(bool gather) { gathers = gather; }

static void join(struct member *member) {
  member->next = room;
  member->link = &room;
  if (room != NULL) {
    room->link = &member->next;
  }
  room = member;
}

static void leave(struct member *member) {
  *member->link = member->next;
  if (member->next != NULL) {
    member->next->link = member->link;
  }
}

static void release(struct frame *frame) {
  if (--frame->references == 0) {
    free(frame);
  }
}

static struct frame *waiting_frame(const struct member *member, size_t at) {
  return member->waiting[(member->first + at) & (member->capacity - 1)];
}

static void push(struct member *member, struct frame *frame) {
  if (member->count == member->capacity) {
    size_t capacity = member->capacity == 0 ? 8 : 2 * member->capacity;
    struct frame **larger = allocate(capacity * sizeof *larger);
    for (size_t at = 0; at < member->count; at++) {
      larger[at] = waiting_frame(member, at);
    }
    free(member->waiting);
    member->waiting = larger;
    member->capacity = capacity;
    member->first = 0;
  }
  frame->references++;
  member->waiting[(member->first + member->count++) & (member->capacity - 1)] = frame;
}

static void pop(struct member *member) {
  release(waiting_frame(member, 0));
  member->first = (member->first + 1) & (member->capacity - 1);
  member->count--;
}

static void on_closed(uv_handle_t *handle) {
  struct member *member = handle->data;
  while (member->count > 0) {
    pop(member);
  }
  free(member->waiting);
  inbound_free(&member->inbound);
  free(member);
}

static bool is_closing(const struct member *member) { return uv_is_closing((const uv_handle_t *)&member->stream); }

// The member is gone for the others at once, and its memory when libuv is done with it.
static void close_member(struct member *member) {
  leave(member);
  uv_close((uv_handle_t *)&member->stream, on_closed);
}

// The rest of the first frame, and with --gather those behind it; says how many buffers that are.
static unsigned next_buffers(const struct member *member, uv_buf_t *buffers, size_t *bytes) {
  size_t most = gathers ? SEND_BUFFERS_MAX : 1;
  unsigned count = (unsigned)(member->count < most ? member->count : most);
  *bytes = 0;
  for (unsigned at = 0; at < count; at++) {
    struct frame *frame = waiting_frame(member, at);
    size_t skipped = at == 0 ? member->sent : 0;
    buffers[at] = uv_buf_init(frame->bytes + skipped, (unsigned)(frame->count - skipped));
    *bytes += frame->count - skipped;
  }
  return count;
}

static void take_out(struct member *member, size_t bytes) {
  member->sent += bytes;
  while (member->count > 0 && member->sent >= waiting_frame(member, 0)->count) {
    member->sent -= waiting_frame(member, 0)->count;
    pop(member);
  }
}

static void on_written(uv_write_t *write, int status);

// Sends what waits, unless a write is in flight.
static void flush(struct member *member) {
  uv_stream_t *stream = (uv_stream_t *)&member->stream;
  uv_buf_t buffers[SEND_BUFFERS_MAX];
  while (member->writing == 0 && member->count > 0) {
    size_t bytes;
    unsigned count = next_buffers(member, buffers, &bytes);
    int written = uv_try_write(stream, buffers, count);
    if (written < 0 && written != UV_EAGAIN) {
      close_member(member);
      return;
    }
    size_t taken = written < 0 ? 0 : (size_t)written;
    take_out(member, taken);
    if (taken < bytes) {
      count = next_buffers(member, buffers, &member->writing);
      if (uv_write(&member->write, stream, buffers, count, on_written) != 0) {
        close_member(member);
      }
      return;
    }
  }
}

static void on_written(uv_write_t *write, int status) {
  struct member *member = write->data;
  if (is_closing(member)) {
    return;
  }
  if (status < 0) {
    close_member(member);
    return;
  }
  size_t written = member->writing;
  member->writing = 0;
  take_out(member, written);
  flush(member);
}

// Hands out a frame. Who lags behind is closed, and so is who is gone.
static void tell_everybody(struct frame *frame) {
  for (struct member *member = room, *next; member != NULL; member = next) {
    next = member->next;
    if (member->count == WAITING_FRAMES_MAX) {
      close_member(member);
      continue;
    }
    push(member, frame);
    if (!gathers) {
      flush(member);
    }
  }
}

static void flush_everybody(void) {
  for (struct member *member = room, *next; member != NULL; member = next) {
    next = member->next;
    flush(member);
  }
}

// Hands out frames until there are no more, or the one who says them is closed.
static void hand_out(const struct member *speaker, const char *bytes, size_t count) {
  for (size_t at = 0; at < count && !is_closing(speaker);) {
    size_t this_bytes = frame_bytes(bytes + at, count - at);
    struct frame *frame = allocate(sizeof *frame + this_bytes);
    frame->references = 1;
    frame->count = this_bytes;
    memcpy(frame->bytes, bytes + at, this_bytes);
    tell_everybody(frame);
    release(frame);
    at += this_bytes;
  }
  if (gathers) {
    flush_everybody();
  }
}

static void on_received(uv_stream_t *stream, ssize_t received, const uv_buf_t *buffer) {
  (void)buffer;
  struct member *member = stream->data;
  if (received < 0) {
    close_member(member);
    return;
  }
  uv_buf_t bytes = inbound_received(&member->inbound, (size_t)received);
  struct frames found = find_frames(bytes.base, bytes.len);
  hand_out(member, bytes.base, found.whole_bytes);
  if (is_closing(member)) {
    return;
  }
  if (found.too_long) {
    close_member(member);
  } else {
    inbound_keep(&member->inbound, bytes, &found);
  }
}

static void offer_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  struct member *member = handle->data;
  *buffer = inbound_room(&member->inbound);
}

void accept_member(uv_stream_t *listener) {
  struct member *member = allocate(sizeof *member);
  memset(member, 0, sizeof *member);
  member->stream.data = member;
  member->write.data = member;
  join(member);
  uv_tcp_init(listener->loop, &member->stream);
  uv_stream_t *stream = (uv_stream_t *)&member->stream;
  if (uv_accept(listener, stream) != 0 || uv_read_start(stream, offer_room, on_received) != 0) {
    close_member(member);
  }
}
