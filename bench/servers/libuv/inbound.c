#include "inbound.h"

#include <stdlib.h>
#include <string.h>

#include "server.h"

// Used between a call for a buffer and the return of the callback that it was filled for.
static char shared[BUFFER_BYTES];

uv_buf_t inbound_room(struct inbound *inbound) {
  if (inbound->held == NULL) {
    return uv_buf_init(shared, sizeof shared);
  }
  return uv_buf_init(inbound->held + inbound->held_bytes, (unsigned)(inbound->capacity - inbound->held_bytes));
}

uv_buf_t inbound_received(struct inbound *inbound, size_t count) {
  char *first = inbound->held == NULL ? shared : inbound->held;
  return uv_buf_init(first, (unsigned)(inbound->held_bytes + count));
}

void inbound_keep(struct inbound *inbound, uv_buf_t bytes, const struct frames *found) {
  const char *rest = bytes.base + found->whole_bytes;
  size_t rest_bytes = bytes.len - found->whole_bytes;
  if (rest_bytes == 0) {
    inbound_free(inbound);
    return;
  }
  size_t needed = found->next_bytes > BUFFER_BYTES ? found->next_bytes : BUFFER_BYTES;
  if (inbound->held != NULL && needed <= inbound->capacity) {
    memmove(inbound->held, rest, rest_bytes);
  } else {
    char *larger = allocate(needed);
    memcpy(larger, rest, rest_bytes);
    free(inbound->held);
    inbound->held = larger;
    inbound->capacity = needed;
  }
  inbound->held_bytes = rest_bytes;
}

void inbound_free(struct inbound *inbound) {
  free(inbound->held);
  *inbound = (struct inbound){NULL, 0, 0};
}
