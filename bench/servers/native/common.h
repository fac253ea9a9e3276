// What the servers in C and C++ share with each other, as `servers/common` is what those in Rust share:
// the words of the command line, the listening socket with its options, the descriptor limit, the one line
// on stdout, and what a frame is. Same words, same behaviour, so that servers differ in what is measured.

#ifndef BENCH_NATIVE_COMMON_H
#define BENCH_NATIVE_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  // Connections that the kernel may queue before the server has accepted them.
  BACKLOG = 4096,
  // Bytes that are received at a time, at most.
  BUFFER_BYTES = 16 * 1024,
  // The length prefix of a frame: 32 bits, little-endian, counting the payload only.
  FRAME_HEADER_BYTES = 4,
  // Largest payload of a frame, inclusive. A longer one closes the connection.
  FRAME_PAYLOAD_BYTES_MAX = 64 * 1024,
  // Frames that may wait for a member of a chat. Who lags behind by more has missed frames, and is closed.
  WAITING_FRAMES_MAX = 1024,
};

enum mode {
  // Sends back whatever bytes arrive, as they arrive.
  MODE_RAW,
  // Sends back whole frames.
  MODE_FRAMED,
  // Sends every frame to every connection, the one that it came from included.
  MODE_CHAT,
};

// An address, as the calls of sockets take it and as what it is.
union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

struct options {
  union address listen;
  enum mode mode;
  // Chat: all frames that wait for a member go with one send.
  bool gather;
};

// A switch of one server only.
struct option_switch {
  // With its dashes.
  const char *word;
  // One line for --help.
  const char *help;
  bool *value;
};

// What a server says of itself.
struct server_words {
  // Of the program, for what it prints.
  const char *name;
  // What it is built on, with the version.
  const char *foundation;
  // Ended by one without a word.
  const struct option_switch *switches;
};

// Reads the command line. Does not return if it is wrong, which one line on stderr says (exit code 2), or asks
// for --help or --version.
struct options read_options(int argc, char **argv, const struct server_words *words);

// Raises the descriptor limit, lets a lost peer be an error of the send instead of a signal, and opens the
// listening socket: TCP_NODELAY, which accepted sockets inherit, SO_REUSEADDR, the backlog. Ends the program
// with one line if that cannot be.
int open_listener(const struct options *options, const struct server_words *words);

// Prints the one line that says that the server accepts, with the real port.
void announce(int listener, const struct server_words *words);

// Ends the program with one line on stderr.
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void fail(const struct server_words *words, const char *what, const char *why);

// What stands at the beginning of some bytes.
struct frames {
  // Bytes that are whole frames.
  size_t whole_bytes;
  // Bytes of the frame behind them, header included; 0 if its header is not all there.
  size_t next_bytes;
  // The frame behind them is longer than a frame may be.
  bool too_long;
};

// Bytes of the frame that begins here, header included; 0 if the header is not all there.
static inline size_t frame_bytes(const char *bytes, size_t count) {
  if (count < FRAME_HEADER_BYTES) {
    return 0;
  }
  const unsigned char *header = (const unsigned char *)bytes;
  uint32_t payload_bytes =
      (uint32_t)header[0] | (uint32_t)header[1] << 8 | (uint32_t)header[2] << 16 | (uint32_t)header[3] << 24;
  return (size_t)payload_bytes + FRAME_HEADER_BYTES;
}

// Finds the frames that are whole, where they lie.
static inline struct frames find_frames(const char *bytes, size_t count) {
  struct frames found = {0, 0, false};
  for (;;) {
    found.next_bytes = frame_bytes(bytes + found.whole_bytes, count - found.whole_bytes);
    found.too_long = found.next_bytes > FRAME_HEADER_BYTES + FRAME_PAYLOAD_BYTES_MAX;
    if (found.next_bytes == 0 || found.too_long || found.next_bytes > count - found.whole_bytes) {
      return found;
    }
    found.whole_bytes += found.next_bytes;
  }
}

#ifdef __cplusplus
}
#endif

#endif
