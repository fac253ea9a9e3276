#define _GNU_SOURCE

#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/lsan_interface.h>
#endif

enum { EXIT_USAGE = 2 };

static const char *const DEFAULT_ADDRESS = "127.0.0.1:7777";

void fail(const struct server_words *words, const char *what, const char *why) {
  fprintf(stderr, "%s: %s: %s\n", words->name, what, why);
  exit(EXIT_FAILURE);
}

__attribute__((noreturn)) static void refuse(const struct server_words *words, const char *word, const char *why) {
  fprintf(stderr, "%s: `%s`: %s; try --help\n", words->name, word, why);
  exit(EXIT_USAGE);
}

__attribute__((noreturn)) static void help(const struct server_words *words) {
  printf("Echo and chat server on %s\n\nUsage: %s [OPTIONS]\n\nOptions:\n", words->foundation, words->name);
  printf("  --listen ADDRESS  Address to listen on; port 0 takes any free port [default: %s]\n", DEFAULT_ADDRESS);
  printf("  --mode MODE       What to do with what comes: raw, framed or chat [default: raw]\n");
  printf("  --gather          Chat: all frames that wait for a member go with one send\n");
  for (const struct option_switch *it = words->switches; it->word != NULL; it++) {
    printf("  %-17s %s\n", it->word, it->help);
  }
  printf("  --help            Print help\n  --version         Print version\n");
  exit(EXIT_SUCCESS);
}

// Reads `1.2.3.4:5` or `[::1]:5`.
static bool read_address(const char *text, union address *address) {
  char host[INET6_ADDRSTRLEN + 2];
  const char *colon = strrchr(text, ':');
  if (colon == NULL || (size_t)(colon - text) >= sizeof host) {
    return false;
  }
  size_t host_bytes = (size_t)(colon - text);
  memcpy(host, text, host_bytes);
  host[host_bytes] = '\0';

  const char *digits = colon + 1;
  size_t digit_count = strspn(digits, "0123456789");
  if (digit_count == 0 || digit_count > 5 || digits[digit_count] != '\0') {
    return false;
  }
  unsigned long port = strtoul(digits, NULL, 10);
  if (port > UINT16_MAX) {
    return false;
  }

  memset(address, 0, sizeof *address);
  if (host_bytes >= 2 && host[0] == '[' && host[host_bytes - 1] == ']') {
    host[host_bytes - 1] = '\0';
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, host + 1, &address->v6.sin6_addr) == 1;
  }
  address->v4.sin_family = AF_INET;
  address->v4.sin_port = htons((uint16_t)port);
  return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1;
}

static socklen_t address_bytes(const union address *address) {
  return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

static bool read_mode(const char *text, enum mode *mode) {
  static const char *const NAMES[] = {[MODE_RAW] = "raw", [MODE_FRAMED] = "framed", [MODE_CHAT] = "chat"};
  for (size_t at = 0; at < sizeof NAMES / sizeof *NAMES; at++) {
    if (strcmp(text, NAMES[at]) == 0) {
      *mode = (enum mode)at;
      return true;
    }
  }
  return false;
}

// The value of `--word VALUE` or `--word=VALUE`, or none if this is another word. Steps over what it takes.
static const char *value_of(const char *word, char **argv, int *at, const struct server_words *words) {
  size_t length = strlen(word);
  if (strncmp(argv[*at], word, length) != 0) {
    return NULL;
  }
  if (argv[*at][length] == '=') {
    return argv[*at] + length + 1;
  }
  if (argv[*at][length] != '\0') {
    return NULL;
  }
  if (argv[*at + 1] == NULL) {
    refuse(words, word, "a value is missing");
  }
  *at += 1;
  return argv[*at];
}

static bool is_switch(const char *word, struct options *options, const struct server_words *words) {
  if (strcmp(word, "--gather") == 0) {
    options->gather = true;
    return true;
  }
  for (const struct option_switch *it = words->switches; it->word != NULL; it++) {
    if (strcmp(word, it->word) == 0) {
      *it->value = true;
      return true;
    }
  }
  return false;
}

struct options read_options(int argc, char **argv, const struct server_words *words) {
  struct options options = {.mode = MODE_RAW};
  read_address(DEFAULT_ADDRESS, &options.listen);
  for (int at = 1; at < argc; at++) {
    const char *value;
    if (strcmp(argv[at], "--help") == 0) {
      help(words);
    } else if (strcmp(argv[at], "--version") == 0) {
      printf("%s on %s\n", words->name, words->foundation);
      exit(EXIT_SUCCESS);
    } else if ((value = value_of("--listen", argv, &at, words)) != NULL) {
      if (!read_address(value, &options.listen)) {
        refuse(words, value, "is no address such as 127.0.0.1:7777 or [::1]:7777");
      }
    } else if ((value = value_of("--mode", argv, &at, words)) != NULL) {
      if (!read_mode(value, &options.mode)) {
        refuse(words, value, "is no mode; there are raw, framed and chat");
      }
    } else if (!is_switch(argv[at], &options, words)) {
      refuse(words, argv[at], "is no option");
    }
  }
  return options;
}

#if defined(__SANITIZE_ADDRESS__)
// Ends the program, by itself if there are leaks. Nothing is torn down, as the loop still runs.
static void *end_when_asked(void *signals) {
  int signal;
  sigwait(signals, &signal);
  __lsan_do_leak_check();
  _exit(EXIT_SUCCESS);
}

// Under the sanitizers SIGTERM is an ordinary end. A thread waits for it, so that the loop that is measured is
// the same loop.
static void await_end(const struct server_words *words) {
  static sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_t thread;
  int error = pthread_sigmask(SIG_BLOCK, &signals, NULL);
  if (error == 0) {
    error = pthread_create(&thread, NULL, end_when_asked, &signals);
  }
  if (error != 0) {
    fail(words, "cannot wait for signals", strerror(error));
  }
}
#else
static void await_end(const struct server_words *words) { (void)words; }
#endif

static void raise_descriptor_limit(const struct server_words *words) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    fail(words, "cannot read the descriptor limit", strerror(errno));
  }
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    fail(words, "cannot raise the descriptor limit", strerror(errno));
  }
}

int open_listener(const struct options *options, const struct server_words *words) {
  raise_descriptor_limit(words);
  signal(SIGPIPE, SIG_IGN);
  await_end(words);

  const int on = 1;
  int listener = socket(options->listen.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
    fail(words, "cannot open the listening socket", strerror(errno));
  }
  if (bind(listener, &options->listen.any, address_bytes(&options->listen)) != 0 || listen(listener, BACKLOG) != 0) {
    fail(words, "cannot listen", strerror(errno));
  }
  return listener;
}

void announce(int listener, const struct server_words *words) {
  union address address;
  socklen_t bytes = sizeof address;
  char host[INET6_ADDRSTRLEN];
  if (getsockname(listener, &address.any, &bytes) != 0) {
    fail(words, "the listening socket has no address", strerror(errno));
  }
  if (address.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
    printf("listening on [%s]:%u\n", host, (unsigned)ntohs(address.v6.sin6_port));
  } else {
    inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
    printf("listening on %s:%u\n", host, (unsigned)ntohs(address.v4.sin_port));
  }
  if (fflush(stdout) != 0) {
    fail(words, "cannot say where it listens", strerror(errno));
  }
}
