// Echo of frames: all that are whole are written back at once, from where they were received.

#ifndef BENCH_ASIO_FRAMED_HPP
#define BENCH_ASIO_FRAMED_HPP

#include <memory>
#include <utility>

#include "frame_buffer.hpp"
#include "socket.hpp"

// As `RawEcho`, owned by the handler of the one operation that is under way.
class FramedEcho {
 public:
  static void start(Socket socket) { receive(std::unique_ptr<FramedEcho>(new FramedEcho(std::move(socket)))); }

 private:
  explicit FramedEcho(Socket socket) : socket_(std::move(socket)) {}

  static void receive(std::unique_ptr<FramedEcho> own) {
    FramedEcho& echo = *own;
    echo.socket_.async_read_some(echo.buffer_.room(),
                                 [own = std::move(own)](const asio::error_code& error, std::size_t received) mutable {
                                   if (!error) {
                                     const frames found = own->buffer_.received(received);
                                     reply(std::move(own), found);
                                   }
                                 });
  }

  // The frames before one that is too long are answered, then the connection is closed.
  static void reply(std::unique_ptr<FramedEcho> own, const frames& found) {
    if (found.whole_bytes == 0) {
      go_on(std::move(own), found);
      return;
    }
    FramedEcho& echo = *own;
    write_all(echo.socket_, asio::buffer(echo.buffer_.data(), found.whole_bytes),
              [own = std::move(own), found](const asio::error_code& error) mutable {
                if (!error) {
                  go_on(std::move(own), found);
                }
              });
  }

  static void go_on(std::unique_ptr<FramedEcho> own, const frames& found) {
    if (!found.too_long) {
      own->buffer_.consume(found);
      receive(std::move(own));
    }
  }

  Socket socket_;
  FrameBuffer buffer_;
};

#endif
