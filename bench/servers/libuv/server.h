// What the parts of the libuv server know of each other.

#ifndef BENCH_LIBUV_SERVER_H
#define BENCH_LIBUV_SERVER_H

#include <stddef.h>
#include <uv.h>

#include "../native/common.h"

// Each accepts the connection that waits at the listener.
void accept_raw(uv_stream_t *listener);
void accept_framed(uv_stream_t *listener);
void accept_member(uv_stream_t *listener);

// Whether all that waits for a member of the chat goes with one send.
void chat_gathers(bool gather);

// Memory, or the end of the program.
void *allocate(size_t bytes);

#endif
