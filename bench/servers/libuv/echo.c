// Echo of bytes and of frames.
//
// Both write back from where the bytes were received, with `uv_try_write`. Only what finds no room is copied
// and left to `uv_write`, and until that is done nothing more is received: who does not read is not served.

#include <stdlib.h>
#include <string.h>

#include "inbound.h"
#include "server.h"

struct connection {
  uv_tcp_t stream;
  uv_write_t write;
  // What is done with received bytes.
  uv_read_cb read;
  // What found no room, while it is being written; else none.
  char *rest;
  // Nothing more is received: to be closed when all is written.
  bool ended;
  // Frames only.
  struct inbound inbound;
};

static void on_closed(uv_handle_t *handle) {
  struct connection *connection = handle->data;
  inbound_free(&connection->inbound);
  free(connection);
}

static void close_connection(struct connection *connection) { uv_close((uv_handle_t *)&connection->stream, on_closed); }

static void offer_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  struct connection *connection = handle->data;
  *buffer = inbound_room(&connection->inbound);
}

static void on_rest_written(uv_write_t *write, int status) {
  struct connection *connection = write->data;
  uv_stream_t *stream = (uv_stream_t *)&connection->stream;
  free(connection->rest);
  connection->rest = NULL;
  // Nobody else closes it: it does not receive meanwhile.
  if (status < 0 || connection->ended || uv_read_start(stream, offer_room, connection->read) != 0) {
    close_connection(connection);
  }
}

// Writes back; false if the connection has been closed, as its peer is gone.
static bool reply(struct connection *connection, char *bytes, size_t count) {
  uv_stream_t *stream = (uv_stream_t *)&connection->stream;
  uv_buf_t buffer = uv_buf_init(bytes, (unsigned)count);
  int written = uv_try_write(stream, &buffer, 1);
  if (written == (int)count) {
    return true;
  }
  if (written < 0 && written != UV_EAGAIN) {
    close_connection(connection);
    return false;
  }
  size_t taken = written < 0 ? 0 : (size_t)written;
  connection->rest = allocate(count - taken);
  memcpy(connection->rest, bytes + taken, count - taken);
  buffer = uv_buf_init(connection->rest, (unsigned)(count - taken));
  uv_read_stop(stream);
  if (uv_write(&connection->write, stream, &buffer, 1, on_rest_written) != 0) {
    free(connection->rest);
    close_connection(connection);
    return false;
  }
  return true;
}

static void on_raw(uv_stream_t *stream, ssize_t received, const uv_buf_t *buffer) {
  struct connection *connection = stream->data;
  if (received > 0) {
    reply(connection, buffer->base, (size_t)received);
  } else if (received < 0) {
    close_connection(connection);
  }
}

static void on_frames(uv_stream_t *stream, ssize_t received, const uv_buf_t *buffer) {
  (void)buffer;
  struct connection *connection = stream->data;
  if (received < 0) {
    close_connection(connection);
    return;
  }
  uv_buf_t bytes = inbound_received(&connection->inbound, (size_t)received);
  struct frames found = find_frames(bytes.base, bytes.len);
  if (found.whole_bytes > 0 && !reply(connection, bytes.base, found.whole_bytes)) {
    return;
  }
  if (!found.too_long) {
    inbound_keep(&connection->inbound, bytes, &found);
  } else if (connection->rest != NULL) {
    connection->ended = true;
  } else {
    close_connection(connection);
  }
}

static void start(uv_stream_t *listener, uv_read_cb read) {
  struct connection *connection = allocate(sizeof *connection);
  memset(connection, 0, sizeof *connection);
  connection->stream.data = connection;
  connection->write.data = connection;
  connection->read = read;
  uv_tcp_init(listener->loop, &connection->stream);
  uv_stream_t *stream = (uv_stream_t *)&connection->stream;
  if (uv_accept(listener, stream) != 0 || uv_read_start(stream, offer_room, read) != 0) {
    close_connection(connection);
  }
}

void accept_raw(uv_stream_t *listener) { start(listener, on_raw); }

void accept_framed(uv_stream_t *listener) { start(listener, on_frames); }
