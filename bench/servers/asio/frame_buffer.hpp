// Received bytes, in which frames are found where they lie.

#ifndef BENCH_ASIO_FRAME_BUFFER_HPP
#define BENCH_ASIO_FRAME_BUFFER_HPP

#include <asio/buffer.hpp>
#include <cstring>
#include <memory>
#include <utility>

#include "../native/common.h"

// Holds half a frame at most, once what is whole has been consumed; so there is always room, and never more
// than the longest frame takes.
class FrameBuffer {
 public:
  // Where the next bytes go.
  asio::mutable_buffer room() { return {bytes_.get() + filled_, capacity_ - filled_}; }

  // The frames that are whole now that so many more bytes have come. They begin at `data`.
  frames received(std::size_t count) {
    filled_ += count;
    return find_frames(bytes_.get(), filled_);
  }

  const char* data() const { return bytes_.get(); }

  // Forgets the whole frames, and makes room for all of the next one.
  void consume(const frames& found) {
    filled_ -= found.whole_bytes;
    const char* rest = bytes_.get() + found.whole_bytes;
    if (found.next_bytes <= capacity_) {
      std::memmove(bytes_.get(), rest, filled_);
      return;
    }
    auto larger = std::make_unique_for_overwrite<char[]>(found.next_bytes);
    std::memcpy(larger.get(), rest, filled_);
    bytes_ = std::move(larger);
    capacity_ = found.next_bytes;
  }

 private:
  std::size_t capacity_ = BUFFER_BYTES;
  std::size_t filled_ = 0;
  std::unique_ptr<char[]> bytes_ = std::make_unique_for_overwrite<char[]>(capacity_);
};

#endif
