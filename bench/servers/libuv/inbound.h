// Received bytes, in which frames are found where they lie.

#ifndef BENCH_LIBUV_INBOUND_H
#define BENCH_LIBUV_INBOUND_H

#include <uv.h>

#include "../native/common.h"

// Half a frame that waits for its rest. Who holds none has no memory of its own: bytes are then received into
// a buffer that all connections share, as libuv asks for it only when there is something to receive.
struct inbound {
  // None if nothing is held.
  char *held;
  size_t held_bytes;
  size_t capacity;
};

// Where the next bytes go.
uv_buf_t inbound_room(struct inbound *inbound);

// All bytes that are there now that so many more have come. The shared buffer keeps them until the loop goes on.
uv_buf_t inbound_received(struct inbound *inbound, size_t count);

// Keeps what stands behind the whole frames, and makes room for all of the frame that begins there.
void inbound_keep(struct inbound *inbound, uv_buf_t bytes, const struct frames *found);

void inbound_free(struct inbound *inbound);

#endif
