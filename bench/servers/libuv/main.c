// The echo and chat server on libuv, as somebody who knows libuv and cares for speed would write it.
//
// One thread and one loop. Bytes are received into one buffer that all connections share, and written with
// `uv_try_write` first, which needs neither a request nor a copy.

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "server.h"

static char foundation[64] = "libuv ";

static const struct option_switch no_switches[] = {{NULL, NULL, NULL}};

static const struct server_words words = {"libuv-server", foundation, no_switches};

void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) {
    fail(&words, "stopped", "out of memory");
  }
  return memory;
}

// Ends the program if a call has failed.
static void check(int status, const char *what) {
  if (status < 0) {
    fail(&words, what, uv_strerror(status));
  }
}

static void on_connection(uv_stream_t *listener, int status) {
  // Out of descriptors: libuv has accepted and closed the connection by itself.
  if (status < 0) {
    return;
  }
  void (**accept)(uv_stream_t *) = listener->data;
  (*accept)(listener);
}

int main(int argc, char **argv) {
  strncat(foundation, uv_version_string(), sizeof foundation - strlen(foundation) - 1);
  struct options options = read_options(argc, argv, &words);
  int socket = open_listener(&options, &words);
  chat_gathers(options.gather);

  static void (*const ACCEPTS[])(uv_stream_t *) = {
      [MODE_RAW] = accept_raw, [MODE_FRAMED] = accept_framed, [MODE_CHAT] = accept_member};
  void (*accept)(uv_stream_t *) = ACCEPTS[options.mode];
  uv_loop_t loop;
  uv_tcp_t listener;
  listener.data = &accept;
  check(uv_loop_init(&loop), "cannot start the loop");
  check(uv_tcp_init(&loop, &listener), "cannot start the listener");
  check(uv_tcp_open(&listener, socket), "cannot take over the listening socket");
  check(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "cannot listen");
  announce(socket, &words);
  check(uv_run(&loop, UV_RUN_DEFAULT), "stopped");
  return EXIT_SUCCESS;
}
