// A chat after the chat server of Asio's documentation: a room, and for each member a deque of frames that wait
// and one write in flight.
//
// As there, each write sends one frame. With `gather` it sends all that wait, which begins when all frames of a
// receive have been handed out. A frame is held once, whoever has to send it.

#ifndef BENCH_ASIO_CHAT_HPP
#define BENCH_ASIO_CHAT_HPP

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "frame_buffer.hpp"
#include "socket.hpp"

// A whole frame, header included.
struct Frame {
  std::shared_ptr<const char[]> bytes;
  std::size_t count;
};

inline Frame copy_frame(const char* bytes, std::size_t count) {
  auto copy = std::make_shared_for_overwrite<char[]>(count);
  std::memcpy(copy.get(), bytes, count);
  return {std::move(copy), count};
}

class Member;

class Room {
 public:
  explicit Room(bool gather) : gather_(gather) {}

  bool gathers() const { return gather_; }
  // A member joins once, and leaves before it is gone.
  void join(Member& member);
  void leave(Member& member);
  void tell_everybody(const Frame& frame);
  // Starts to send what waits.
  void flush();

 private:
  const bool gather_;
  std::vector<Member*> members_;
};

// Kept alive by its operations: as long as it is in the room it receives, or handles what it has received, and
// only there it leaves. Others may close it, which ends its receive.
class Member : public std::enable_shared_from_this<Member> {
 public:
  Member(Socket socket, Room& room) : socket_(std::move(socket)), room_(room) {}

  static void start(Socket socket, Room& room) {
    const auto member = std::make_shared<Member>(std::move(socket), room);
    room.join(*member);
    member->receive();
  }

  // Who lags behind is closed.
  void tell(const Frame& frame) {
    if (waiting_.size() >= WAITING_FRAMES_MAX) {
      close();
    }
    if (socket_.is_open()) {
      waiting_.push_back(frame);
    }
  }

  // Sends what waits, unless a write is in flight.
  void flush() {
    while (socket_.is_open() && !writing_ && !waiting_.empty()) {
      auto buffers = next_buffers();
      if (tries_writes(socket_)) {
        asio::error_code error;
        const std::size_t written =
            as_one_or_many(buffers, [&](const auto& those) { return write_now(socket_, those, error); });
        if (error) {
          close();
          return;
        }
        if (take_out(written) == buffers.size()) {
          continue;
        }
        buffers = next_buffers();
      }
      writing_ = true;
      as_one_or_many(buffers, [&](const auto& those) {
        asio::async_write(socket_, those,
                          [self = shared_from_this()](const asio::error_code& error, std::size_t count) {
                            self->written(error, count);
                          });
        return 0;
      });
    }
  }

  // Its place in the room.
  std::size_t place = 0;

 private:
  using Buffers = std::span<const asio::const_buffer>;

  // A lone buffer is sent by a cheaper call than a sequence, if its type says that it is alone.
  template <typename Send>
  static std::size_t as_one_or_many(Buffers buffers, Send send) {
    return buffers.size() == 1 ? send(buffers.front()) : send(buffers);
  }

  void receive() {
    socket_.async_read_some(buffer_.room(),
                            [self = shared_from_this()](const asio::error_code& error, std::size_t count) {
                              if (error || !self->received(count)) {
                                self->close();
                                self->room_.leave(*self);
                              } else {
                                self->receive();
                              }
                            });
  }

  // Hands out what is whole; false if this member has come to its end.
  bool received(std::size_t count) {
    const frames found = buffer_.received(count);
    for (std::size_t at = 0; at < found.whole_bytes && socket_.is_open();) {
      const char* first = buffer_.data() + at;
      const std::size_t bytes = frame_bytes(first, found.whole_bytes - at);
      room_.tell_everybody(copy_frame(first, bytes));
      at += bytes;
    }
    if (room_.gathers()) {
      room_.flush();
    }
    if (!socket_.is_open() || found.too_long) {
      return false;
    }
    buffer_.consume(found);
    return true;
  }

  void written(const asio::error_code& error, std::size_t count) {
    writing_ = false;
    if (error) {
      close();
      return;
    }
    take_out(count);
    flush();
  }

  // The rest of the first frame, and with `gather` those behind it.
  Buffers next_buffers() {
    const std::size_t count = std::min(waiting_.size(), room_.gathers() ? buffers_.size() : 1);
    for (std::size_t at = 0; at < count; ++at) {
      buffers_[at] = asio::buffer(waiting_[at].bytes.get(), waiting_[at].count);
    }
    buffers_[0] += sent_;
    return Buffers(buffers_.data(), count);
  }

  // Takes out what has been sent, and says how many frames that was.
  std::size_t take_out(std::size_t count) {
    std::size_t whole = 0;
    sent_ += count;
    while (!waiting_.empty() && sent_ >= waiting_.front().count) {
      sent_ -= waiting_.front().count;
      waiting_.pop_front();
      ++whole;
    }
    return whole;
  }

  // Whatever is under way ends with an error.
  void close() {
    asio::error_code ignored;
    socket_.close(ignored);
  }

  // As many as Asio passes to one call.
  static constexpr std::size_t kBuffersMax = 64;

  Socket socket_;
  Room& room_;
  FrameBuffer buffer_;
  std::deque<Frame> waiting_;
  // Bytes of the first of them that are sent.
  std::size_t sent_ = 0;
  bool writing_ = false;
  std::array<asio::const_buffer, kBuffersMax> buffers_;
};

inline void Room::join(Member& member) {
  member.place = members_.size();
  members_.push_back(&member);
}

inline void Room::leave(Member& member) {
  members_.back()->place = member.place;
  members_[member.place] = members_.back();
  members_.pop_back();
}

inline void Room::tell_everybody(const Frame& frame) {
  for (Member* member : members_) {
    member->tell(frame);
    if (!gather_) {
      member->flush();
    }
  }
}

inline void Room::flush() {
  for (Member* member : members_) {
    member->flush();
  }
}

#endif
